package app

import (
	"github.com/carepost/carepost/internal/api"
	"github.com/carepost/carepost/internal/delivery"
)

// Parts gives what the installation is made of, to the measurements: they hand in and count with no socket between.
func (a *App) Parts() api.Parts { return a.parts }

// Delivery gives the queue of mail, to the measurements.
func (a *App) Delivery() *delivery.Engine { return a.delivery }
