// Package crashpoint marks the places at which a crash hurts most, so that the chaos harness can kill a process exactly
// there. Programs built without the tag chaos have nothing of it: Reach is empty and is compiled away.
//
// It owns the two ways in which a point is armed, and nothing else:
//
//   - AI_AGENTS_CRASHPOINT=name or name:n kills this process when it reaches the point for the n-th time (default 1).
//   - AI_AGENTS_CRASHPOINT_DIR=dir kills whichever process reaches a point first after a file of the point's name was put
//     into the folder. The file is renamed to name.reached-pid by the one process that dies, so a file is one kill.
//
// The end is SIGKILL: no deferred call runs, no buffer is flushed, no connection is closed in order.
//
// The points, along the way of one delivery:
//
//	k1   webhook: delivery committed, sender not yet answered
//	k2   run claimed
//	k3   context stored
//	k4   the model has answered, its answer is not stored
//	k5   answer stored
//	k6   intent to post committed, nothing sent
//	k7   headers of the note's request written
//	k8   first byte of the desk's answer seen, answer not read
//	k9   answer read, note not recorded
//	k10  note recorded, run not completed
//	k11  run and job completed, worker not yet told
package crashpoint
