// Package file owns content too large for a row: files, sealed in chunks of 1 MiB, as rows that all nodes share.
//
// It never knows what a file is for, and no name, type, size or content reaches the database unsealed.
//
// A file is written once, from begin to end, and is there when its last chunk and its sealed description are committed; a reader
// checks each chunk's place and length, and the digest of the whole. Memory is bounded by a chunk on both ways. Read file.go first.
package file
