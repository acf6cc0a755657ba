package servicedesk

import (
	_ "embed"
	"html/template"
	"net/http"
	"slices"
	"time"
)

//go:embed page.html
var pageSource string

var pages = template.Must(template.New("page").Funcs(template.FuncMap{
	"when":  func(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04:05 UTC") },
	"plain": func(s string) string { return cut(plain(s), 160) },
	"html":  func(s string) template.HTML { return template.HTML(s) }, // sanitised when it was stored
}).Parse(pageSource))

// ticketView is what both pages show of a ticket.
type ticketView struct {
	Ticket
	Account string
	Notes   []Note
}

func (d *Desk) view(t Ticket) ticketView {
	return ticketView{Ticket: t, Account: d.data.account(t.AccountID).Name, Notes: d.data.notes(t.ID)}
}

// indexPage lists the newest 200 tickets.
func (d *Desk) indexPage(w http.ResponseWriter, _ *http.Request) {
	tickets := d.data.all()
	slices.SortStableFunc(tickets, func(a, b Ticket) int { return b.Created.Compare(a.Created) })
	if len(tickets) > 200 {
		tickets = tickets[:200]
	}
	views := make([]ticketView, len(tickets))
	for i, t := range tickets {
		views[i] = d.view(t)
	}
	d.show(w, http.StatusOK, "index", views)
}

// ticketPage shows a ticket with all its notes, private ones too: it plays a technician's
// screen.
func (d *Desk) ticketPage(w http.ResponseWriter, r *http.Request) {
	t, ok := d.data.ticket(r.PathValue("id"))
	if !ok {
		d.show(w, http.StatusNotFound, "missing", nil)
		return
	}
	d.show(w, http.StatusOK, "ticket", d.view(t))
}

// show forbids everything but our own style, in case sanitising has a hole.
func (d *Desk) show(w http.ResponseWriter, status int, name string, data any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'")
	w.WriteHeader(status)
	_ = pages.ExecuteTemplate(w, name, data) // the reader left
}
