package console

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"aiagents/app/adminauth"
	"aiagents/app/operator"
)

// Holdings tells what can be searched for a tenant, in words for a person.
type Holdings interface {
	Holdings(ctx context.Context, tenantID string) ([]Holding, error)
}

// Holding is one thing that can be searched: past tickets, articles, hosts, or the state of their synchronisation.
type Holding struct{ Name, Value string }

// Deps are the console's neighbours. All but Clock are required.
type Deps struct {
	Guard    *adminauth.Guard
	Operator *operator.Service
	Holdings Holdings
	River    *river.Client[pgx.Tx]
	Logger   *slog.Logger
	// Clock is the time; nil takes the real one.
	Clock func() time.Time
	// Environment and Version are shown on every page.
	Environment, Version string
}

func (d Deps) missing() string {
	var names []string
	for name, is := range map[string]bool{
		"Guard": d.Guard == nil, "Operator": d.Operator == nil, "Holdings": d.Holdings == nil, "River": d.River == nil, "Logger": d.Logger == nil,
	} {
		if is {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
