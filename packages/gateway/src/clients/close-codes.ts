import type { CloseCause } from "../monitor/gateway-counts.ts";

/** With what the gateway closes a client, and the reason that it sends. */
export const closings: Readonly<Record<CloseCause, { readonly code: number; readonly reason: string }>> = {
	text: { code: 1003, reason: "frames are binary messages" },
	too_many_held: { code: 1013, reason: "too many frames wait for backends; try again later" },
	over_bandwidth: { code: 1013, reason: "too many frames wait for their turn in the bandwidth limit; send more slowly" },
	no_buffer: { code: 1013, reason: "no buffer for a frame: too much waits; wait for answers, or try again later" },
	stalled: { code: 3008, reason: "slow" },
	token_expired: { code: 3005, reason: "connection expired" },
	token_required: { code: 3011, reason: "a token is required now; connect again with one" },
	// Whoever blocks, revokes or kicks says with which code: these stand for it.
	revoked: { code: 3500, reason: "invalid token" },
	kicked: { code: 3503, reason: "force disconnect" },
	draining: { code: 1001, reason: "shutdown" },
};
