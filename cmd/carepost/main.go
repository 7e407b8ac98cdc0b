// Command carepost is the whole product: the server, its commands and its demo.
package main

import (
	"os"

	"github.com/carepost/carepost/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
