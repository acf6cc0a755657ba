// Package egress makes the HTTP clients with which the program calls addresses that somebody else configured: a tenant's
// service desk, its accounts server, a monitoring system.
//
// The address is judged when it is dialled, after DNS and on the IP itself, so neither a name that changes its mind
// between check and use nor an unusual spelling of an address gets past it. The order of judgement:
//
//  1. Never, whatever the operator allows: metadata services, link-local and unspecified addresses, multicast,
//     reserved space, and IPv6 forms that carry an IPv4 address (mapped forms are unwrapped first; NAT64, 6to4, Teredo
//     and the compatible form are refused).
//  2. Loopback: only with Policy.AllowLoopback, which is for development.
//  3. Ranges of Policy.AllowCIDRs: allowed. On-premises desks live in private ranges that the operator vouches for.
//  4. Everything that IANA lists as special-purpose: refused.
//
// Besides: no proxy from the environment (only the proxy's address would be judged), redirects are handed to the caller
// instead of followed, credentials in URLs are refused, plain http is refused unless the policy allows it, TLS is 1.2 or
// newer with verification always on, an operator's CA bundle adds to the system's roots, and answers are capped.
//
// The package owns no table, no route and no goroutine of its own. A refused call fails with an error that matches
// ErrRefused, and not one byte has left; every other failure is the network's and is passed on as it is.
package egress
