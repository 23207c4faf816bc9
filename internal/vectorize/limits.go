package vectorize

// Limits of indexes and calls. Zero fields take the default that is named: the
// platform's own where it documents one.
type Limits struct {
	Dimensions      int   // of a vector; 4096
	TopK            int   // of a query; 100
	TopKFull        int   // of a query that returns values or all metadata; 50
	IDBytes         int   // of a vector; 64
	NamespaceBytes  int   // of the name; 64
	MetadataBytes   int   // of a vector, as compact JSON; 10 KiB
	FilterBytes     int   // of a query, as compact JSON; 2048
	BatchAPI        int   // vectors of one call to the API; 5000
	BatchBinding    int   // vectors of one call of a worker; 1000
	BodyBytes       int64 // of a call with vectors; 100 MB
	GetIDs          int   // of one call; 20
	DeleteIDs       int   // of one call; 100
	ListPage        int   // ids; 1000
	MetadataIndexes int   // of an index; 10
	Namespaces      int   // of an index; 50,000
	Indexes         int   // of an account; 50,000
}

// flushSize is how much memory holds before it becomes a segment.
type flushSize struct {
	rows  int
	bytes int64
}

func (f flushSize) times(n int) flushSize { return flushSize{f.rows * n, f.bytes * int64(n)} }

func (f flushSize) reached(m *memory) bool { return len(m.rows) >= f.rows || m.bytes >= f.bytes }

func (l *Limits) setDefaults() {
	for _, d := range []struct {
		field *int
		value int
	}{
		{&l.Dimensions, 4096},
		{&l.TopK, 100},
		{&l.TopKFull, 50},
		{&l.IDBytes, 64},
		{&l.NamespaceBytes, 64},
		{&l.MetadataBytes, 10 << 10},
		{&l.FilterBytes, 2048},
		{&l.BatchAPI, 5000},
		{&l.BatchBinding, 1000},
		{&l.GetIDs, 20},
		{&l.DeleteIDs, 100},
		{&l.ListPage, 1000},
		{&l.MetadataIndexes, 10},
		{&l.Namespaces, 50_000},
		{&l.Indexes, 50_000},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if l.BodyBytes == 0 {
		l.BodyBytes = 100_000_000
	}
}
