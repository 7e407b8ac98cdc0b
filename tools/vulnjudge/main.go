// Command vulnjudge reads what `govulncheck -json` found and fails on every vulnerability that our code reaches in a module we chose.
// What it reaches in the standard library is mended by building with a newer Go, which is the builder's to choose: it is printed, and
// fails with -stdlib only.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
)

type message struct {
	Finding *struct {
		OSV   string `json:"osv"`
		Fixed string `json:"fixed_version"`
		Trace []struct {
			Module   string `json:"module"`
			Function string `json:"function"`
		} `json:"trace"`
	} `json:"finding"`
}

func main() {
	strict := flag.Bool("stdlib", false, "fail on the standard library as well")
	flag.Parse()
	ours, std, err := read(os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, "vulnjudge:", err)
		os.Exit(2)
	}
	for _, v := range std {
		fmt.Println("in Go itself, mended by a newer Go:", v)
	}
	for _, v := range ours {
		fmt.Println("VULNERABLE:", v)
	}
	fmt.Printf("%d in modules, %d in Go itself\n", len(ours), len(std))
	if len(ours) > 0 || *strict && len(std) > 0 {
		os.Exit(1)
	}
}

// read gives the vulnerabilities whose functions are called, in modules and in the standard library.
func read(r io.Reader) (ours, std []string, err error) {
	d := json.NewDecoder(r)
	messages := 0
	for {
		var m message
		if err := d.Decode(&m); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, nil, err
		}
		messages++
		if m.Finding == nil || len(m.Finding.Trace) == 0 || m.Finding.Trace[0].Function == "" {
			continue
		}
		at := m.Finding.Trace[0]
		text := m.Finding.OSV + " " + at.Module + " fixed in " + m.Finding.Fixed
		if at.Module == "stdlib" {
			std = add(std, text)
		} else {
			ours = add(ours, text)
		}
	}
	if messages == 0 {
		return nil, nil, errors.New("govulncheck said nothing")
	}
	return ours, std, nil
}

func add(list []string, text string) []string {
	if slices.Contains(list, text) {
		return list
	}
	return append(list, text)
}
