package d1

import "context"

// MergeHistory makes the merged files that are due, as happens by itself in time.
func (d *Database) MergeHistory(ctx context.Context) error { return d.history.Merge(ctx) }
