// Command gen makes the table of words that the binary carries.
//
//	go run ./internal/infer/lexical/gen WORDNET/dict OUT
//	go run ./internal/infer/lexical/gen -measure WORDNET/dict
//
// The second form measures how well a table finds a word by an explanation that it
// was not made from.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/selvage-dev/selvage/internal/fsx"
	"github.com/selvage-dev/selvage/internal/infer/lexical/build"
)

func main() {
	o := build.Options{}
	flag.IntVar(&o.Dimensions, "dimensions", 128, "length of a vector")
	flag.IntVar(&o.Least, "least", 5, "in how many entries a word has to be")
	measured := flag.Bool("measure", false, "measure instead of writing a table")
	flag.Parse()
	var err error
	switch {
	case *measured && flag.NArg() == 1:
		err = measure(context.Background(), flag.Arg(0), o)
	case !*measured && flag.NArg() == 2:
		err = write(context.Background(), flag.Arg(0), flag.Arg(1), o)
	default:
		flag.Usage()
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func write(ctx context.Context, dict, out string, o build.Options) error {
	all, err := build.Read(dict)
	if err != nil {
		return err
	}
	table, err := build.Table(ctx, all, o)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%s: %d bytes\n", out, len(table))
	return fsx.FS{}.WriteFile(out, table, 0o644)
}
