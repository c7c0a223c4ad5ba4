import { vi } from "vitest";
import type { CentrifugeClient, CentrifugeRig } from "./centrifuge-rig.ts";

/** Sends a command, and returns all that the client is sent until the session has settled. */
export async function told(client: CentrifugeClient, command: object): Promise<unknown[]> {
	client.send({ id: 2, ...command });
	await client.settled();
	return client.replies();
}

/** Waits until `check` does not throw. As long as for a session to settle: the default of a second is short for a busy machine. */
export const soon = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 8_000, interval: 1 });

/** Without pings, which it would have to answer. */
export const connected = (rig: CentrifugeRig): CentrifugeClient => rig.connected("cf_ws_frame_ping_pong=true");

/** Lets the time pass, and the wheel turn. `vi.useRealTimers` must follow. */
export function pass(rig: CentrifugeRig, seconds: number): void {
	vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + seconds * 1000 });
	for (let second = 0; second < seconds; second++) {
		rig.seconds++;
		rig.endpoint.everySecond();
	}
}
