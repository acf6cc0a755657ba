package synthesis

import (
	"time"

	"aiagents/modules/enhancement/evidence"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// exchangeBundle is a ticket with something in every section.
func exchangeBundle() evidence.Bundle {
	return evidence.Bundle{
		Ticket: evidence.Ticket{
			ID: "9001", Subject: "Outlook cannot send, error 0x80040115",
			Description: "Since 07:40 our Outlook shows 0x80040115 when sending. Server is hc-ex-02 (10.2.3.4).\nMy login: akeller, mail anna.keller@harbor.example, password: Winter-2026!\nRegards, Anna Keller, phone +49 40 5550 1234",
			Priority:    "High", Requester: "Anna Keller", CreatedAt: noon,
		},
		Similar: []evidence.SimilarTicket{
			{
				ID: "T-4711", TicketID: "4711", Subject: "Outlook 0x80040115 after archive job", Excerpt: "Mail stuck, hc-ex-02 disk E full.",
				Resolution: "Checked the archive job on hc-ex-02. Re-ran the archive job, freed 40 GB on disk E. Mail flowed again.",
				ResolvedAt: noon.AddDate(0, -8, 0), Score: 0.83,
			},
			{
				ID: "T-4650", TicketID: "4650", Subject: "Outlook disconnected", Excerpt: "Client offline", Resolution: "Recreated the Outlook profile.",
				ResolvedAt: noon.AddDate(0, -9, 0), Score: 0.41,
			},
		},
		Articles: []evidence.Article{{
			ID: "KB-7Q2F", Title: "Exchange archive runbook", Section: "Archive job stuck",
			Excerpt: "1. Check the state of the archive job.\n2. Restart the job when it failed.\n3. Never delete the queue database.", Score: 0.7,
		}},
		Systems: []evidence.System{{ID: "S-hc-ex-02", Hostname: "hc-ex-02", IP: "10.2.3.4", Role: "mail server", Location: "Hamburg", MatchedBy: "10.2.3.4", How: "address"}},
		Monitoring: []evidence.Observation{
			{ID: "M-1", Provider: "zabbix", Host: "hc-ex-02", Summary: "Disk E: 96 % used", Severity: "high", Since: noon.Add(-5 * time.Hour), AboutHost: true},
			{ID: "M-2", Provider: "zabbix", Host: "hc-fw-01", Summary: "Interface eth3 flapped", Severity: "warning", Since: noon.Add(-time.Hour)},
		},
		Sources: []evidence.SourceReport{
			{Name: "similar_tickets", Outcome: evidence.Found, Found: 2},
			{Name: "knowledge", Outcome: evidence.Found, Found: 1},
			{Name: "inventory", Outcome: evidence.Found, Found: 1},
			{Name: "monitoring", Outcome: evidence.Found, Found: 2},
		},
	}
}
