package d1

import "context"

// SetCheckpointFrames makes databases move their log into the file that early.
func SetCheckpointFrames(o *Options, n int) { o.checkpointFrames = n }

// MergeHistory makes the merged files that are due, as happens by itself in time.
func (d *Database) MergeHistory(ctx context.Context) error { return d.history.Merge(ctx) }
