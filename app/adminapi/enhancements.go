package adminapi

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"

	"aiagents/app/operator"
	"aiagents/modules/enhancement/evidence"
)

type listEnhancements struct {
	TenantID string    `query:"tenant_id" maxLength:"100" doc:"Only those of one tenant"`
	Status   string    `query:"status" enum:"pending,completed,failed"`
	Outcome  string    `query:"outcome" enum:"note,facts_only,skipped,recorded,failed"`
	TicketID string    `query:"ticket_id" maxLength:"100" doc:"Only those of one ticket"`
	Since    time.Time `query:"since" doc:"Received at this time or later"`
	Until    time.Time `query:"until" doc:"Received before this time"`
	Page
}

// Page is what every list that comes in pages takes.
type Page struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"Size of a page"`
	Cursor string `query:"cursor" maxLength:"200" doc:"next_cursor of the page before"`
}

type oneEnhancement struct {
	ID       uuid.UUID `path:"id" format:"uuid" doc:"Id of the enhancement: the job_id that the webhook was answered with"`
	TenantID string    `query:"tenant_id" maxLength:"100" doc:"Look at this tenant only; without it all are searched"`
}

type previewNote struct {
	Body struct {
		TenantID    string `json:"tenant_id" minLength:"1" maxLength:"100"`
		TicketID    string `json:"ticket_id,omitempty" maxLength:"100" pattern:"^[A-Za-z0-9._-]*$" doc:"A ticket of the desk; instead of a text"`
		Subject     string `json:"subject,omitempty" maxLength:"500"`
		Description string `json:"description,omitempty" maxLength:"10000" doc:"Text of a ticket; instead of one of the desk"`
	}
}

type retried struct {
	ID       uuid.UUID `json:"id" format:"uuid"`
	TenantID string    `json:"tenant_id"`
}

func (a *api) enhancements() {
	add(a, route{
		http.MethodGet, "/enhancements", "listEnhancements", "enhancements", "List enhancements",
		"The newest first: of one tenant, or of all. Ticket text is not in a list.", 0,
		[]int{http.StatusNotFound},
	},
		func(ctx context.Context, in *listEnhancements) (*answer[operator.EnhancementPage], error) {
			list, err := a.Service.Enhancements(ctx, operator.EnhancementFilter{
				TenantID: in.TenantID, Status: in.Status, Outcome: in.Outcome, TicketID: in.TicketID, Since: in.Since, Until: in.Until,
				Limit: in.Limit, Cursor: in.Cursor,
			})
			return &answer[operator.EnhancementPage]{success(list, "A page of enhancements.")}, err
		})
	add(a, route{
		http.MethodGet, "/enhancements/{id}", "getEnhancement", "enhancements", "Read one enhancement",
		"With its ticket, evidence, note, timeline, calls of the model, cost, and why it ended as it did.", 0,
		[]int{http.StatusNotFound},
	},
		func(ctx context.Context, in *oneEnhancement) (*answer[operator.EnhancementDetail], error) {
			d, err := a.Service.Enhancement(ctx, in.TenantID, in.ID)
			return &answer[operator.EnhancementDetail]{success(d, "The enhancement.")}, err
		})
	add(a, route{
		http.MethodPost, "/enhancements/{id}/retry", "retryEnhancement", "enhancements", "Run an enhancement again",
		"From the start. Its note is replaced, never doubled. One that is still running is left alone.",
		http.StatusAccepted,
		[]int{http.StatusNotFound, http.StatusConflict},
	},
		func(ctx context.Context, in *oneEnhancement) (*answer[retried], error) {
			d, err := a.Service.Enhancement(ctx, in.TenantID, in.ID)
			if err == nil {
				err = a.Service.Retry(ctx, actor(ctx), d.TenantID, in.ID)
			}
			return &answer[retried]{success(retried{in.ID, d.TenantID}, "The enhancement is queued again.")}, err
		})
	add(a, route{
		http.MethodPost, "/enhancements/preview", "previewEnhancement", "enhancements", "Make a note and show it",
		"Nothing is posted and nothing is kept. It takes as long as a note takes, up to two minutes, and costs what its calls of the model cost.",
		0,
		[]int{http.StatusNotFound, http.StatusConflict},
	},
		func(ctx context.Context, in *previewNote) (*answer[operator.Preview], error) {
			if err := allowTime(ctx, previewTime); err != nil {
				return nil, err
			}
			b := in.Body
			p, err := a.Service.Preview(ctx, actor(ctx), b.TenantID, evidence.Ticket{ID: b.TicketID, Subject: b.Subject, Description: b.Description})
			return &answer[operator.Preview]{success(p, "The note as it would be written.")}, err
		})
}

// previewTime is how long a preview may take: what one attempt of a note may, and some.
const previewTime = 150 * time.Second

// allowTime lets an answer come later than the server's own limit, which is for answers that are at hand.
func allowTime(ctx context.Context, d time.Duration) error {
	if err := http.NewResponseController(echoOf(ctx).Response()).SetWriteDeadline(time.Now().Add(d)); err != nil {
		return fmt.Errorf("move write deadline: %w", err)
	}
	return nil
}
