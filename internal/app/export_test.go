package app

// Winner settles who owns a lane.
var Winner = winner
