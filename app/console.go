package app

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"aiagents/app/adminauth"
	"aiagents/app/console"
	"aiagents/modules/enhancement/feed"
)

// mountConsole adds the console, and River's interface with it, behind the guard of the admin API.
func (p *process) mountConsole(ops *echo.Echo, guard *adminauth.Guard) (err error) {
	p.console, err = console.New(console.Deps{
		Guard: guard, Operator: p.system.operator, Holdings: holdings{p.system}, River: p.client, Logger: p.tel.logger.With("module", "console"),
		Clock: time.Now, Environment: p.cfg.Environment, Version: version(),
	})
	if err != nil {
		return err
	}
	p.console.Mount(ops)
	return nil
}

// consoleURL is where a browser on this machine finds the console; empty where it is off.
func (p *process) consoleURL() string {
	if p.console == nil {
		return ""
	}
	addr := p.ops.addr()
	return "http://" + strings.Replace(addr, "[::]", "localhost", 1) + "/console/"
}

// holdings: the console shows what can be searched for a tenant, and how old it is.
type holdings struct{ system *system }

// countedUpTo bounds a count: whether there are a hundred thousand or a million changes nothing for an operator.
const countedUpTo = 100_000

func (a holdings) Holdings(ctx context.Context, tenantID string) ([]console.Holding, error) {
	tickets, articles, err := a.system.tickets.Size(ctx, tenantID, countedUpTo)
	if err != nil {
		return nil, err
	}
	hosts, err := a.system.inventory.Size(ctx, tenantID, countedUpTo)
	if err != nil {
		return nil, err
	}
	states, err := a.system.feed.States(ctx, tenantID)
	if err != nil {
		return nil, err
	}
	list := []console.Holding{
		{Name: "Past tickets", Value: upTo(tickets)}, {Name: "Articles", Value: upTo(articles)}, {Name: "Hosts and networks", Value: upTo(hosts)},
	}
	for _, s := range states {
		list = append(list, console.Holding{Name: feedNames[s.Kind], Value: feedText(s)})
	}
	return list, nil
}

func upTo(n int64) string {
	if n >= countedUpTo {
		return fmt.Sprintf("%d or more", countedUpTo)
	}
	return fmt.Sprint(n)
}

var feedNames = map[string]string{
	feed.KindTickets: "Sync of solved tickets", feed.KindSolutions: "Sync of solutions", feed.KindReconcile: "Search for missed webhooks",
}

func feedText(s feed.State) string {
	text := s.LastResult
	if s.LastRunAt != nil {
		text += ", " + s.LastRunAt.UTC().Format("2006-01-02 15:04")
	}
	if s.LastError != "" {
		text += ": " + s.LastError
	}
	return text
}
