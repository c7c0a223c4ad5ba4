import { describe, expect, it, vi } from "vitest";
import type { Hook, HookAnswer } from "../../src/hooks/hook.ts";
import type { CentrifugeSession } from "../../src/sessions/centrifuge/centrifuge-session.ts";
import { HookCalls } from "../../src/sessions/centrifuge/hooks/hook-calls.ts";
import { CentrifugeRig } from "../support/centrifuge-rig.ts";

const answering = (answer: HookAnswer<"refresh"> | Error) =>
	({ ask: () => (answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer)) }) as never as Hook<"refresh">;
const expired = { expired: true, expiresAt: 1, info: null, meta: null };

/** Asks beside the commands of a client. */
function aside(answer: HookAnswer<"refresh"> | Error, conclude: (result: unknown, session: CentrifugeSession) => void = () => {}) {
	const failed = vi.fn();
	const calls = new HookCalls(failed);
	const { session, ended } = new CentrifugeRig().connected();
	const concluded = vi.fn((result: unknown) => conclude(result, session));
	calls.askAside(answering(answer), session, {}, concluded);
	return { calls, failed, session, ended, concluded };
}

describe("a request that no command waits for", () => {
	it("passes on the result, null when nothing changes, or that it failed", { tags: ["long"] }, async () => {
		for (const [answer, result] of [
			[{ result: expired }, expired],
			["passed", null],
			["failed", "failed"],
			[{ error: { code: 1000, message: "", temporary: false } }, null],
		] as const) {
			const { concluded, calls } = aside(answer);
			await vi.waitFor(() => expect(concluded.mock.calls).toEqual([[result]]), { timeout: 8000 });
			expect(calls.count).toBe(0);
		}
	});

	it("closes the client when the backend says so, and passes on nothing once it has disconnected", async () => {
		const { ended, concluded } = aside({ disconnect: { code: 4500, reason: "over" } });
		expect(await ended).toEqual({ code: 4500, reason: "over" });
		const other = aside({ result: expired });
		other.session.close(1000);
		await vi.waitFor(() => expect(other.calls.count).toBe(0), { timeout: 8000 });
		expect([concluded.mock.calls, other.concluded.mock.calls]).toEqual([[], []]);
	});

	it("a defect ends the connection of that client, not the process of the shard", async () => {
		const defect = new Error("a defect");
		for (const { ended, failed, calls } of [
			aside(defect),
			aside({ result: expired }, () => {
				throw defect;
			}),
		]) {
			expect(await ended).toMatchObject({ code: 1011 });
			expect([failed.mock.calls, calls.count]).toEqual([[[defect]], 0]);
			await calls.whenAnswered();
		}
	});
});
