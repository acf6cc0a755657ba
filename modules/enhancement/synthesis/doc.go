// Package synthesis turns the evidence of one ticket into a short, structured answer, with the help of a language model
// where one is configured, and by rules alone where not.
//
// It owns the client of the OpenAI-compatible server, the prompt, the pseudonyms, the grounding, the price list and the
// circuit breaker. It owns no table, stores nothing and logs nothing. It does not gather, and it does not render.
//
// # The model is not trusted
//
// Ticket, history and article text may be written by an attacker, and the model may obey it. What protects the note is code:
//
//   - Text is cleaned before it is sent (evidence.Clean), and stands in a fence whose marker is random in every request.
//   - The model has no tools, and answers in a strict JSON schema, which is validated here whatever the server claims.
//   - Every ticket id, host, address, error code and number in the answer must occur in the evidence. A sentence, bullet or
//     step with a token that does not is dropped and counted. URLs are dropped unless their host is allowed. If nothing is
//     left of the likely cause, the answer is facts-only.
//   - Confidence is computed from the evidence. Safety tags are raised where the words of a step demand it.
//
// # What leaves for the model, and under which name
//
// Replaced by placeholders, the same one for the same text throughout a request, and restored in the answer:
//
//   - MAIL_n: e-mail addresses.
//   - USER_n: the requester's name in full and its parts, DOMAIN\name, names after a label such as "user:" or "login:",
//     and the name in paths such as C:\Users\name and /home/name.
//   - PHONE_n: numbers with a leading + or after a label such as "phone:".
//   - HOST_n: names of the gathered systems and of monitoring's hosts, qualified names of three or more labels, names
//     in private top-level domains (.local, .lan, .internal, .corp and the like), and servers in \\server\share paths.
//     Config.KeepHosts sends them as they are.
//   - ADDR_n: IPv4, IPv6, CIDR and MAC addresses, apart from loopback, unspecified and link-local ones, which tell no
//     one apart. Config.KeepAddresses sends them as they are.
//   - TERM_n: text that only looks like one of our placeholders.
//
// Replaced and never restored: SECRET_n, everything that evidence.SecretSpans recognises.
//
// Not sent at all: the account's name and id, links, inventory metadata, article sources. Not covered: people's names other
// than the requester's in running text, postal addresses, passwords in free prose without a label, unknown short host names.
//
// # When a neighbour fails
//
// Synthesise returns an error only when its context ends. Everything else, from a missing key to an invented host, ends as
// a facts-only answer with a reason. At most three calls are made for one ticket, two of them repeats.
package synthesis
