// Package apptest owns starting the program in a test: an installation in folders of its own, in a world of its own, served by this
// process or by another one that may be killed, and a client of its API.
//
// It never knows what a test is about: it founds an organisation that may send, and no more. Read place.go, then api.go; child.go is
// for tests that kill. Nothing that runs in production imports it.
package apptest
