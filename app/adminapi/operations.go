package adminapi

import (
	"context"
	"net/http"
	"time"

	"aiagents/app/housekeeping"
	"aiagents/app/operator"
)

type overview struct {
	Window operator.Window `query:"window" enum:"1h,24h,7d" default:"1h" doc:"How far back"`
}

type listAudit struct {
	TenantID string    `query:"tenant_id" maxLength:"100" doc:"Only about one tenant; deleted ones can be named too"`
	Actor    string    `query:"actor" maxLength:"200" doc:"Only by one actor, or by the part before its colon: admin finds admin:192.0.2.7" example:"admin"`
	Action   string    `query:"action" maxLength:"100" doc:"Only one action" example:"tenant.update"`
	Since    time.Time `query:"since" doc:"At this time or later"`
	Until    time.Time `query:"until" doc:"Before this time"`
	Page
}

type costs struct {
	TenantID string    `query:"tenant_id" maxLength:"100" doc:"Only those of one tenant"`
	Since    time.Time `query:"since" doc:"From this time on; 30 days back unless given"`
	Until    time.Time `query:"until" doc:"Before this time; now unless given"`
}

type queueStates struct {
	States []operator.QueueState `json:"states" nullable:"false"`
}

type workerList struct {
	Alive int               `json:"alive"`
	Items []operator.Worker `json:"items" nullable:"false"`
}

type housekeepingList struct {
	Items []housekeeping.Status `json:"items"`
}

type taskPath struct {
	Task string `path:"task" maxLength:"100" doc:"Name of the task" example:"retain_history"`
}

func (a *api) operations() {
	add(a, route{
		http.MethodGet, "/overview", "getOverview", "operations", "See whether it works, and for whom it does not",
		"Counts, rates and times of a window with a series of 60 intervals, the queue, workers, storms of similar tickets, and every tenant's " +
			"state with its reason. Read tenant by tenant, and at most 5 s old.", 0, nil,
	},
		func(ctx context.Context, in *overview) (*answer[operator.Overview], error) {
			o, err := a.Service.Overview(ctx, in.Window)
			return &answer[operator.Overview]{success(o, "The overview.")}, err
		})
	add(a, route{http.MethodGet, "/queue", "getQueue", "operations", "See the job queue", "Depth and oldest age of every state that has work to do.", 0, nil},
		func(ctx context.Context, _ *struct{}) (*answer[queueStates], error) {
			states, err := a.Service.Queue(ctx)
			return &answer[queueStates]{success(queueStates{states}, "The job queue.")}, err
		})
	add(a, route{http.MethodGet, "/workers", "listWorkers", "operations", "List the workers", "Those with a heartbeat within the last hour.", 0, nil},
		func(ctx context.Context, _ *struct{}) (*answer[workerList], error) {
			workers, err := a.Service.Workers(ctx)
			list := workerList{Items: workers}
			for _, w := range workers {
				if w.Alive {
					list.Alive++
				}
			}
			return &answer[workerList]{success(list, "The workers.")}, err
		})
	add(a, route{http.MethodGet, "/housekeeping", "listHousekeeping", "operations", "List the periodic tasks", "Each with its last run and result.", 0, nil},
		func(ctx context.Context, _ *struct{}) (*answer[housekeepingList], error) {
			tasks, err := a.Service.Housekeeping(ctx)
			return &answer[housekeepingList]{success(housekeepingList{tasks}, "The periodic tasks.")}, err
		})
	add(a, route{
		http.MethodPost, "/housekeeping/{task}/dry-run", "dryRunHousekeeping", "operations", "Count what a task would remove",
		"Nothing is changed. Tasks that remove nothing by age have no dry run. Real runs are periodic, or by 'aiagents housekeeping run'.",
		0,
		[]int{http.StatusNotFound},
	},
		func(ctx context.Context, in *taskPath) (*answer[housekeeping.Run], error) {
			if err := allowTime(ctx, previewTime); err != nil {
				return nil, err
			}
			run, err := a.Service.HousekeepingDryRun(ctx, in.Task)
			return &answer[housekeeping.Run]{success(run, "What the task would remove now.")}, err
		})
	add(a, route{
		http.MethodGet, "/audit", "listAudit", "operations", "Read the audit log", "Who did what to which tenant, the newest first.",
		0,
		[]int{http.StatusNotFound},
	},
		func(ctx context.Context, in *listAudit) (*answer[operator.AuditPage], error) {
			list, err := a.Service.Audit(ctx, operator.AuditFilter{
				TenantID: in.TenantID, Actor: in.Actor, Action: in.Action, Since: in.Since, Until: in.Until, Limit: in.Limit, Cursor: in.Cursor,
			})
			return &answer[operator.AuditPage]{success(list, "A page of the audit log.")}, err
		})
	add(a, route{http.MethodGet, "/costs", "getCosts", "operations", "Add up what models cost", "By tenant, day (UTC) and model.", 0, []int{http.StatusNotFound}},
		func(ctx context.Context, in *costs) (*answer[operator.Costs], error) {
			c, err := a.Service.Costs(ctx, in.TenantID, in.Since, in.Until)
			return &answer[operator.Costs]{success(c, "The cost of model calls.")}, err
		})
}
