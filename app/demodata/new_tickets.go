package demodata

// NewTickets returns the incidents that the demo files, in filing order.
//
// The first two are one problem in the words of two customers: same subject,
// same error code, different server, different history.
func NewTickets() []NewTicket {
	return []NewTicket{
		{
			Key:         "clinic-share",
			TenantID:    "harbor-clinic",
			Subject:     "Shared drive gone, 0x80070035",
			Description: "Nobody here can open the shared drive, error 0x80070035. 10.20.10.21 answers ping. Was fine an hour ago",
			Priority:    "High",
			Requester:   "reception",
			Expect: Expectation{
				AnyTicketID:  []string{"20743", "21058", "21469"},
				ArticleTitle: "Error 0x80070035: network path not found on HC-FS-01",
				Hostname:     "HC-FS-01",
			},
		},
		{
			Key:         "logistics-share",
			TenantID:    "ridgeline-logistics",
			Subject:     "Shared drive gone, 0x80070035",
			Description: "Nobody here can open the shared drive, error 0x80070035. 172.16.10.21 answers ping. Was fine an hour ago",
			Priority:    "High",
			Requester:   "dispatch",
			Expect: Expectation{
				AnyTicketID:  []string{"62095", "62886", "63159"},
				ArticleTitle: "Drive T: on RL-FILE-01 not found (0x80070035)",
				Hostname:     "RL-FILE-01",
			},
		},
		{
			Key:         "clinic-ultrasound",
			TenantID:    "harbor-clinic",
			Subject:     "ultrasound pictures not in viewer",
			Description: "HC-US-03 room 5, echo test says ok but no images arrive since lunch",
			Priority:    "Medium",
			Requester:   "ultrasound assistant",
			Expect: Expectation{
				AnyTicketID:  []string{"20825"},
				ArticleTitle: "DICOM router spool and logs",
				Hostname:     "HC-US-03",
			},
		},
		{
			Key:         "logistics-slow",
			TenantID:    "ridgeline-logistics",
			Subject:     "RL-WMS-DB-01 is slow",
			Description: "since the break, both halls. pls check",
			Priority:    "High",
			Requester:   "shift leader",
			Expect: Expectation{
				AnyTicketID:  []string{"61744", "62128", "62342", "63398"},
				ArticleTitle: "WMS slow: what to look at on RL-WMS-DB-01",
				Hostname:     "RL-WMS-DB-01",
			},
		},
		{
			Key:      "clinic-repository",
			TenantID: "harbor-clinic",
			Subject:  "Warning: backup repository HC-REPO-01 is running out of space",
			Description: "Host 10.20.10.82, volume /backup: 45.9 TB of 48 TB used (95.6 %)\n" +
				"Trigger: repository free space below threshold\n" +
				"Sent by the backup server, do not reply",
			Priority:  "High",
			Requester: "monitoring",
			Expect: Expectation{
				AnyTicketID:  []string{"21451", "22395"},
				ArticleTitle: "Repository HC-REPO-01 is full",
				Hostname:     "HC-REPO-01",
			},
		},
		{
			Key:         "logistics-unknown",
			TenantID:    "ridgeline-logistics",
			Subject:     "Franking machine declines top-up",
			Description: "Postage meter downstairs shows F-77, top-up declined. Letters pile up",
			Priority:    "Low",
			Requester:   "mail room",
			Expect:      Expectation{Nothing: true},
		},
	}
}
