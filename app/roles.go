package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"aiagents/app/console"
	"aiagents/internal/fault"
)

// role is what a process does. Every role has the operations port.
type role struct {
	name        string
	webhooks    bool // takes webhooks on HTTP_ADDR
	jobs        bool // works the queue
	description string
}

// roles are the roles as data: what a role does is read here and tested one by one.
var roles = map[string]role{
	"serve": {name: "serve", webhooks: true, description: "Take webhooks and queue their jobs"},
	"work":  {name: "work", jobs: true, description: "Work the queue: gather, synthesise, write notes"},
	"all":   {name: "all", webhooks: true, jobs: true, description: "Take webhooks and work the queue, in one process"},
}

// httpStopTimeout is how long running requests may take to end.
const httpStopTimeout = 10 * time.Second

// process is one running role.
type process struct {
	role   role
	cfg    Config
	tel    *telemetry
	db     *database
	system *system
	health *health
	public *server
	ops    *server
	client *queueClient
	beats  *heartbeats
	// console is nil where nobody could be let in.
	console *console.Console
	survey  *survey
	// closeLog ends the log's file, if there is one.
	closeLog func()
}

// start builds a role and begins to listen and work. What fails here fails the start, with nothing left running.
func start(ctx context.Context, r role, cfg Config, logs, progress io.Writer) (p *process, err error) {
	p = &process{role: r, cfg: cfg}
	if logs, p.closeLog, err = openLog(cfg.Log, logs); err != nil {
		return nil, err
	}
	logger := newLogger(logs, cfg).With("role", r.name)
	if p.tel, err = newTelemetry(ctx, logger, cfg.Telemetry, version()); err != nil {
		return nil, err
	}
	if p.db, err = openDatabase(ctx, cfg, false, logger, progress); err != nil {
		return nil, err
	}
	building := p // a failed return sets p to nil before the deferred call
	defer func() {
		if err != nil {
			building.abandon(context.WithoutCancel(ctx))
		}
	}()
	if err := p.db.guard(ctx, cfg, logger); err != nil {
		return nil, err
	}
	keys, err := openKeyring(cfg, p.db)
	if err != nil {
		return nil, err
	}
	if p.system, err = wire(p.db.DB, keys, cfg, p.tel); err != nil {
		return nil, err
	}
	p.health = &health{db: p.db.DB, version: version()}
	if err := p.openQueue(ctx); err != nil {
		return nil, err
	}
	p.tel.registry.MustRegister(p.system.collectors()...)
	if err := p.listen(ctx); err != nil {
		return nil, err
	}
	logger.InfoContext(ctx, "started", "http_addr", p.publicAddr(), "ops_addr", p.ops.addr(), "console", p.consoleURL(), "version", version())
	return p, nil
}

func (p *process) openQueue(ctx context.Context) (err error) {
	if !p.role.jobs {
		p.client, err = newInserter(p.db.Pool(), p.system.workers, p.tel.logger)
		p.system.queue.client = p.client
		return err
	}
	running := &runningJobs{}
	p.client, err = newWorkerClient(p.db.DB, p.system.workers, p.system.housekeeping.PeriodicJobs(), running, p.cfg, p.tel)
	if err != nil {
		return err
	}
	p.system.queue.client = p.client
	p.beats = newHeartbeats(p.db.DB, p.client.ID(), p.cfg.Worker.Heartbeat, p.cfg.Enhancement.JobTimeout+rescueMargin, running, p.tel.logger)
	p.tel.registry.MustRegister(p.beats.collectors()...)
	p.survey = &survey{system: p.system, leads: p.beats.leads, labels: p.tel.tenants, logger: p.tel.logger}
	p.tel.registry.MustRegister(p.survey)
	// River's context outlives the caller's: stop ends the jobs in order, and a cancelled start must not tear them.
	if err := p.client.Start(context.WithoutCancel(ctx)); err != nil {
		return fault.Wrap(fault.Unavailable, err, "the job queue cannot start")
	}
	stopped := p.client.Stopped()
	p.health.queue = func() error {
		select {
		case <-stopped:
			return errQueueStopped
		default:
			return nil
		}
	}
	return nil
}

func (p *process) listen(ctx context.Context) (err error) {
	ops := newEcho(p.cfg, p.tel.logger)
	p.health.mount(ops)
	ops.GET("/metrics", echo.WrapHandler(promhttp.HandlerFor(p.tel.registry, promhttp.HandlerOpts{})))
	if err := p.mountAdmin(ops); err != nil {
		return err
	}
	if p.ops, err = listen(ctx, "operations", p.cfg.Ops.Addr, 0, ops, p.tel.logger); err != nil {
		return err
	}
	if !p.role.webhooks {
		return nil
	}
	public := newEcho(p.cfg, p.tel.logger)
	p.health.mount(public)
	p.system.mount(public)
	handler := traced(public, p.tel.provider)
	p.public, err = listen(ctx, "webhooks", p.cfg.HTTP.Addr, p.cfg.HTTP.MaxConnections, handler, p.tel.logger)
	return err
}

func (p *process) publicAddr() string {
	if p.public == nil {
		return ""
	}
	return p.public.addr()
}

// run serves until ctx ends or a part fails, then stops in order.
func (p *process) run(ctx context.Context) error {
	group, running := errgroup.WithContext(ctx)
	background, endBackground := context.WithCancel(context.WithoutCancel(ctx))
	defer endBackground()
	group.Go(p.ops.serve)
	if p.public != nil {
		group.Go(p.public.serve)
	}
	var side errgroup.Group
	side.Go(func() error { return p.listenForChanges(background) })
	if p.beats != nil {
		side.Go(func() error { p.beats.run(background); return nil })
		side.Go(func() error { p.survey.run(background, p.cfg.Worker.Heartbeat); return nil })
	}
	group.Go(func() error {
		<-running.Done()
		p.stop(context.WithoutCancel(ctx))
		endBackground()
		return nil
	})
	err := errors.Join(group.Wait(), side.Wait())
	p.close(context.WithoutCancel(ctx))
	return err
}

func (p *process) listenForChanges(ctx context.Context) error {
	if err := p.system.tenants.Listen(ctx); err != nil && ctx.Err() == nil {
		return fmt.Errorf("listen for changes of tenants: %w", err)
	}
	return nil
}

// stop goes the other way than start: not ready, a delay in which load balancers notice, HTTP, River. River first lets
// running jobs finish, then cancels their contexts; a cancelled job goes back to the queue without costing an attempt.
func (p *process) stop(ctx context.Context) {
	p.health.draining.Store(true)
	p.tel.logger.InfoContext(ctx, "stopping")
	if p.public != nil {
		select {
		case <-ctx.Done():
		case <-time.After(p.cfg.HTTP.ShutdownDelay):
		}
		stopping, cancel := context.WithTimeout(ctx, httpStopTimeout)
		p.public.shutdown(stopping)
		cancel()
	}
	if p.role.jobs {
		// Tasks go on elsewhere; only notes are worth waiting for.
		p.system.housekeeping.Stop()
		stopping, cancel := context.WithTimeout(ctx, p.cfg.Worker.SoftStop+httpStopTimeout)
		if err := p.client.Stop(stopping); err != nil {
			p.tel.logger.WarnContext(ctx, "jobs did not end in time; others take them over", "error", err)
		}
		cancel()
	}
	stopping, cancel := context.WithTimeout(ctx, httpStopTimeout)
	defer cancel()
	p.ops.shutdown(stopping)
}

// close flushes telemetry and closes what start opened.
func (p *process) close(ctx context.Context) {
	flushing, cancel := context.WithTimeout(ctx, httpStopTimeout)
	defer cancel()
	if err := p.tel.provider.Shutdown(flushing); err != nil {
		p.tel.logger.WarnContext(ctx, "traces could not be flushed", "error", err)
	}
	if p.console != nil {
		p.console.Close()
	}
	p.system.close(ctx)
	p.db.close(ctx)
	p.tel.logger.InfoContext(ctx, "stopped")
	p.closeLog()
}

// abandon takes back a start that failed half-way.
func (p *process) abandon(ctx context.Context) {
	if p.beats != nil {
		stopping, cancel := context.WithTimeout(ctx, httpStopTimeout)
		defer cancel()
		// The start's own error is the one to report.
		_ = p.client.StopAndCancel(stopping)
	}
	for _, s := range []*server{p.ops, p.public} {
		if s != nil {
			_ = s.listener.Close()
		}
	}
	if p.system != nil {
		p.system.close(ctx)
	}
	p.db.close(ctx)
	p.closeLog()
}
