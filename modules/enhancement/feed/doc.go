// Package feed keeps our copies of a service desk's data fresh: solved tickets, solutions, and the tickets whose webhook
// never came.
//
// It owns the table feed_state, and no job: its owner calls it by the clock. It reads enhancement_history, to know which tickets were seen. It does not speak to a desk, keep a ticket or an article, or make a
// note: it asks its neighbours Desk, Tickets, Articles and Receiver.
//
//   - tickets: solved tickets with their resolution, from as far back as asked, then by last update.
//   - solutions: the desk's approved articles, as the collection "servicedesk". What the desk no longer has is removed.
//   - assets: the desk's machines, into the inventory, where the tenant wants it and the edition lists them.
//   - reconcile: tickets that were created lately and never seen are handed on as if their webhook had come. ServiceDesk
//     Plus does not repeat a webhook that failed.
//
// Invariants:
//   - Of a tenant and kind, one run at a time: it holds a lease that it renews, and every write asks for the lease's token.
//   - State is stored with each page, after the page's rows. A run that dies is taken up at its last page; rows that are read
//     twice change nothing.
//   - Pages follow the time of the last row and not its position, so that a ticket that changes while a list is read moves
//     ahead of the reader and not behind.
//   - Reconciling never reaches back before the tenant's onboarding, its own first run, or the tenant's last time disabled:
//     an old ticket gets no note.
//
// A desk that limits requests is waited for; any other failure ends the run, is shown in feed_state and costs the other
// tenants nothing. The next run goes on from there.
package feed
