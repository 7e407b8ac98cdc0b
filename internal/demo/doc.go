// Package demo owns the story of the main job: made-up people, their export, two messages, receiving servers of every temper, and the
// proof that every part held.
//
// It never knows the tables of the product: it starts the program as a child process and speaks to it by the routes of the API, as an
// operator would. What must come out it works out by itself, from the papers of the made-up people (expect.go), and holds the program
// against that. Read demo.go first; arrivals.go reads what the receiving servers got; canary.go and scan.go look for what must stand
// nowhere in clear.
package demo
