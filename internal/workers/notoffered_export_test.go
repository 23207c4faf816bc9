package workers

// NotOffered lets tests walk the table.
func NotOffered() map[string]string { return notOffered() }
