package config

import (
	"time"
)

// D1 bounds databases of apps. The defaults are the limits that the original documents.
type D1 struct {
	MaxDatabases  int           // of the account
	MaxSize       Size          // of one database
	StatementSize Size          // of one statement's text
	ValueSize     Size          // of a string, a blob or a row
	ResultSize    Size          // of all rows of a statement
	Columns       int           // of a table or a result
	Params        int           // bound to one statement
	PatternSize   Size          // of LIKE and GLOB
	QueryTime     time.Duration // of one statement
	MaxQueries    int           // of one request of a worker
	MaxOpen       int           // databases that stay open while nobody uses them
	TimeTravel    time.Duration // for how long every state can be restored; 0: no history is kept
}

func defaultD1() D1 {
	return D1{
		MaxDatabases: 50_000, MaxSize: 10_000_000_000, StatementSize: 100_000, ValueSize: 2_000_000, ResultSize: 50_000_000,
		Columns: 100, Params: 100, PatternSize: 50, QueryTime: 30 * time.Second, MaxQueries: 1000, MaxOpen: 64, TimeTravel: 30 * 24 * time.Hour,
	}
}

// What SQLite itself can do bounds most of these from above.
const (
	maxStatement = 1 << 20
	maxValue     = 500 << 20
	maxQueryTime = time.Hour
)

func d1Options() []Option {
	return []Option{
		{
			Key: "d1.time_travel", Doc: "For how long every state of a D1 database can be restored. 0s keeps no history, and removes what there is.", Want: "0s, or a duration of 1h or more, such as 720h",
			value: func(c *Config) any { return &c.D1.TimeTravel }, check: func(c *Config) bool { return c.D1.TimeTravel == 0 || c.D1.TimeTravel >= time.Hour },
		},
		{
			Key: "d1.max_databases", Doc: "D1 databases of the account.", Want: "a number from 1 to 1000000",
			value: func(c *Config) any { return &c.D1.MaxDatabases }, check: func(c *Config) bool { return between(c.D1.MaxDatabases, 1, 1_000_000) },
		},
		{
			Key: "d1.max_size", Doc: "One D1 database. One that is larger already stays as it is and does not grow.", Want: "a size from 1MiB to 16TiB, such as 20GiB",
			value: func(c *Config) any { return &c.D1.MaxSize }, check: func(c *Config) bool { return c.D1.MaxSize >= 1<<20 && c.D1.MaxSize <= 16<<40 },
		},
		{
			Key: "d1.statement_size", Doc: "The text of one D1 statement.", Want: "a size from 1KiB to 1MiB",
			value: func(c *Config) any { return &c.D1.StatementSize },
			check: func(c *Config) bool { return c.D1.StatementSize >= 1<<10 && c.D1.StatementSize <= maxStatement },
		},
		{
			Key: "d1.value_size", Doc: "One string, blob or row of a D1 database.", Want: "a size from 1KiB to 500MiB",
			value: func(c *Config) any { return &c.D1.ValueSize }, check: func(c *Config) bool { return c.D1.ValueSize >= 1<<10 && c.D1.ValueSize <= maxValue },
		},
		{
			Key: "d1.result_size", Doc: "All rows of one D1 statement together; they are in memory.", Want: "a size from 1MiB to 1GiB",
			value: func(c *Config) any { return &c.D1.ResultSize }, check: func(c *Config) bool { return c.D1.ResultSize >= 1<<20 && c.D1.ResultSize <= 1<<30 },
		},
		{
			Key: "d1.columns", Doc: "Columns of a D1 table or result.", Want: "a number from 1 to 2000",
			value: func(c *Config) any { return &c.D1.Columns }, check: func(c *Config) bool { return between(c.D1.Columns, 1, 2000) },
		},
		{
			Key: "d1.params", Doc: "Parameters bound to one D1 statement.", Want: "a number from 1 to 32766",
			value: func(c *Config) any { return &c.D1.Params }, check: func(c *Config) bool { return between(c.D1.Params, 1, 32_766) },
		},
		{
			Key: "d1.pattern_size", Doc: "A pattern of LIKE or GLOB in a D1 statement.", Want: "a size from 1B to 50000B",
			value: func(c *Config) any { return &c.D1.PatternSize }, check: func(c *Config) bool { return c.D1.PatternSize >= 1 && c.D1.PatternSize <= 50_000 },
		},
		{
			Key: "d1.query_time", Doc: "Running time of one D1 statement, which is stopped then and has changed nothing.", Want: "a duration from 100ms to 1h",
			value: func(c *Config) any { return &c.D1.QueryTime },
			check: func(c *Config) bool { return c.D1.QueryTime >= 100*time.Millisecond && c.D1.QueryTime <= maxQueryTime },
		},
		{
			Key: "d1.max_queries", Doc: "D1 statements that one request of a worker may run, those of its batches included.", Want: "a number from 1 to 10000000",
			value: func(c *Config) any { return &c.D1.MaxQueries }, check: func(c *Config) bool { return between(c.D1.MaxQueries, 1, 10_000_000) },
		},
		{
			Key: "d1.max_open", Doc: "D1 databases that stay open while nobody uses them; the least recently used closes first.", Want: "a number from 1 to 100000",
			value: func(c *Config) any { return &c.D1.MaxOpen }, check: func(c *Config) bool { return between(c.D1.MaxOpen, 1, 100_000) },
		},
	}
}
