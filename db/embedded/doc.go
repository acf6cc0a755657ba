// Package embedded runs a private Postgres server for development, the demo
// and the tests, so that none of them needs one installed or started by hand.
//
// It owns one data folder with the server's files, the passwords of three
// roles and the server's log, and for as long as the server runs, the server
// process. It does not own the schema: callers migrate the database
// themselves, as [Server.OwnerURL]. It is not meant for production, where
// Postgres is run by those who also back it up.
//
// Invariants:
//
//   - One owner at a time. The data folder is locked for as long as the server
//     runs; a second start fails with an [InUseError].
//   - No orphans. When this process ends in any way, SIGKILL included, the
//     server is told to stop: by the kernel on Linux, and everywhere by a
//     small shell process that notices the closed pipe.
//   - Data survives. A folder is either without a cluster or has a complete
//     one, because a new cluster is made aside and renamed into place; after a
//     crash, the next start stops what still runs and Postgres recovers.
//   - Nobody else gets in. The server listens on the loopback address only and
//     asks for passwords that only the folder's owner can read. The roles
//     that the program uses are no superusers and cannot bypass row-level
//     security.
//
// Binaries come from the machine (version 15 or newer) or are fetched once
// from a Maven repository, checksum verified. Postgres refuses to run as root,
// so a root process runs it as postgres or nobody.
//
// When the server dies by itself, the log says so and every query fails until
// the process is started again; nothing is restarted behind the caller's back.
package embedded
