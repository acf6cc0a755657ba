// Package embedding turns texts into vectors with an OpenAI-compatible server.
//
// It owns one client and no table. It sends what it is given: whoever calls it hides what the server may not see. It does not
// repeat a request; its callers can do without the answer, or ask again later.
//
// Invariants: as many vectors come back as texts were given, in their order and all of the configured length, or none at all.
// A text is cut at what every known model takes. When the server is away or slow, calls fail with a fault of kind Unavailable;
// when it refuses the request, the key or the model, with one of kind Invalid, and asking again would not help.
package embedding
