package app

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"

	"aiagents/app/housekeeping"
	"aiagents/app/operator"
	"aiagents/db"
	"aiagents/internal/egress"
	"aiagents/internal/keyring"
	"aiagents/modules/enhancement"
	"aiagents/modules/enhancement/docsearch"
	"aiagents/modules/enhancement/feed"
	"aiagents/modules/enhancement/note"
	"aiagents/modules/enhancement/retrieval"
	"aiagents/modules/enhancement/synthesis"
	"aiagents/modules/enhancement/systems"
	"aiagents/modules/notifier"
	"aiagents/modules/tenant"
	"aiagents/modules/webhook"
)

// system is every module, wired. Roles run it; commands call it.
type system struct {
	db           *db.DB
	tenants      *tenant.Module
	webhooks     *webhook.Module
	enhancements *enhancement.Module
	notes        *notifier.Module
	tickets      *retrieval.Store
	feed         *feed.Feed
	inventory    *systems.Inventory
	model        *synthesis.Client
	guard        *egress.Guard
	housekeeping *housekeeping.Module
	operator     *operator.Service
	canary       *canary
	workers      *river.Workers
	queue        *lateQueue
	documents    *docsearch.Searcher
	heartbeat    time.Duration
}

// wire builds the modules and hands each its neighbours. It is the only place that does.
func wire(d *db.DB, keys *keyring.Keyring, cfg Config, tel *telemetry) (*system, error) {
	named := func(module string) *slog.Logger { return tel.logger.With("module", module) }
	s := &system{
		db: d, workers: river.NewWorkers(), queue: &lateQueue{}, documents: docsearch.New(time.Now), heartbeat: cfg.Worker.Heartbeat,
	}
	var err error
	s.tenants, err = tenant.New(tenant.Deps{DB: d, Keyring: keys, Logger: named("tenant"), Clock: time.Now}, cfg.Tenant)
	if err != nil {
		return nil, err
	}
	s.guard, err = egress.New(egress.Policy{
		AllowCIDRs:    prefixes(cfg.Egress.AllowCIDRs),
		AllowLoopback: cfg.development(),
		AllowHTTP:     cfg.Environment != production,
		CAFile:        cfg.Egress.CAFile,
		Wrap:          tel.outbound.transport,
	})
	if err != nil {
		return nil, fmt.Errorf("egress: %w", err)
	}
	s.notes, err = notifier.New(notifier.Deps{
		DB: d, Connections: connections{s.tenants}, Sealer: s.tenants, Egress: s.guard, Logger: named("notifier"), Clock: time.Now,
		ReferenceOf: note.ReferenceOf,
		TenantLabel: tel.tenants.label,
	}, cfg.Notifier)
	if err != nil {
		return nil, err
	}
	if s.canary, err = newCanary(s, cfg, tel.logger); err != nil {
		return nil, err
	}
	model := modelConfig(cfg.OpenAI)
	model.Wrap = func(next http.RoundTripper) http.RoundTripper { return tel.outbound.transport("model", next) }
	s.model, err = synthesis.New(model, time.Now)
	if err != nil {
		return nil, err
	}
	s.tickets = retrieval.New(d, cfg.Retrieval, named("retrieval"))
	s.inventory = systems.New(d)
	s.useEmbeddings(cfg, tel.outbound)
	s.enhancements, err = enhancement.New(enhancement.Deps{
		DB: d, Queue: s.queue, Desk: desk{s.notes}, Notes: notes{s.notes, s.canary.notes}, Tenants: preferences{s.tenants},
		Similar: search{s.tickets, s.tenants}, Articles: search{s.tickets, s.tenants}, Systems: hosts{s.inventory, s.tenants},
		Documents:  documents{s.tenants, s.guard.Client(egress.Options{Peer: "documentation", Timeout: docsearch.TimeLimit}), s.documents},
		Monitoring: monitors{s.tenants, s.guard.Client(egress.Options{Peer: "monitoring", Timeout: cfg.Enhancement.MonitoringTimeout})}, Resolutions: resolutions{s.tickets}, Model: s.model,
		Logger: named("enhancement"), Tracer: tel.tracer, Clock: time.Now, TraceMetadata: traceMetadata,
		Synthetic:   tenant.Canary,
		TenantLabel: tel.tenants.label,
	}, cfg.Enhancement)
	if err != nil {
		return nil, err
	}
	inbound := webhook.Deps{
		DB: d, Tenants: callers{s.tenants}, Enhancements: receiver{s.enhancements}, Resolutions: resolved{s.tickets},
		Logger: named("webhook"), Clock: time.Now, TraceMetadata: traceMetadata, TenantLabel: tel.tenants.label,
	}
	if s.webhooks, err = webhook.New(inbound, cfg.Webhook); err != nil {
		return nil, err
	}
	if err := s.canary.listen(inbound, cfg, tel.logger); err != nil {
		return nil, err
	}
	s.feed, err = feed.New(feed.Deps{
		DB: d, Desk: lister{s.notes}, Tickets: copies{s.tickets}, Articles: copies{s.tickets}, Hosts: machines{s.inventory, s.tenants}, Receiver: missed{s.enhancements},
		Tenants: fed{s.tenants}, Clock: time.Now,
	}, cfg.Feed)
	if err != nil {
		return nil, err
	}
	s.enhancements.Register(s.workers)
	s.newHousekeeping(cfg, named("housekeeping"))
	s.operator, err = newOperator(s, cfg)
	return s, err
}

// mount adds the public routes.
func (s *system) mount(e *echo.Echo) { s.webhooks.Mount(e.Group("")) }

// collectors are the metrics of all modules.
func (s *system) collectors() []prometheus.Collector {
	all := []prometheus.Collector{
		&queueStats{db: s.db, silence: silentAfter(s.heartbeat)}, poolStats(s.db.Pool()), modelStats(s.model),
		cacheStats(map[string]func() (hits, misses uint64){"tenant": s.tenants.CacheStats, "documentation": s.documents.CacheStats}),
	}
	all = append(all, s.webhooks.Collectors()...)
	all = append(all, s.enhancements.Collectors()...)
	all = append(all, s.feed.Collectors()...)
	all = append(all, s.tickets.Collectors()...)
	all = append(all, s.housekeeping, s.canary)
	return append(all, s.notes.Collectors()...)
}

func modelConfig(c OpenAIConfig) synthesis.Config {
	return synthesis.Config{
		APIKey: c.APIKey, BaseURL: c.BaseURL, Model: c.Model, FallbackModels: c.FallbackModels,
		Timeout: c.Timeout, RetryDelay: c.RetryDelay, CAFile: c.CAFile,
	}
}

// close ends what wire began.
func (s *system) close(context.Context) {
	s.notes.Close()
	s.canary.close()
}
