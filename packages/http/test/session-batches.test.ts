import type { SessionRequest } from "@shardcast/selection";
import { describe, expect, it, vi } from "vitest";
import { type FindSessions, SessionBatches } from "../src/session-batches.ts";

const request = (id: string): SessionRequest => ({ of: "user", id, node: "n0", follow: ["n0", "n1"], address: "", metadata: "" });

/** Batches whose answers a test gives. */
function rig() {
	const asked: { readonly ids: string[]; answer(nodes?: number): void; fail(): void }[] = [];
	const ask: FindSessions = (requests) =>
		new Promise((resolve, reject) => {
			const answers = requests.map(({ id }) => ({ node: `for ${id}`, outcome: "kept" as const }));
			asked.push({
				ids: requests.map(({ id }) => id),
				answer: (count = answers.length) => resolve(answers.slice(0, count)),
				fail: () => reject(new Error("the supervisor is gone")),
			});
		});
	return { asked, batches: new SessionBatches({ ask }) };
}
const turn = () => new Promise(setImmediate);

describe("requests for sessions", () => {
	it("get the chosen node after a second without an answer; those that come later do not wait for it either", async () => {
		vi.useFakeTimers();
		try {
			const { asked, batches } = rig();
			const first = batches.ask(request("a"));
			await vi.advanceTimersByTimeAsync(900);
			const second = batches.ask(request("b"));
			await vi.advanceTimersByTimeAsync(100);
			expect(await first).toEqual({ node: "n0", outcome: "unavailable" });
			expect(asked.map(({ ids }) => ids)).toEqual([["a"], ["b"]]);
			asked[0]!.answer();
			asked[1]!.answer();
			expect(await second).toEqual({ node: "for b", outcome: "kept" });
			expect(vi.getTimerCount()).toBe(0);
		} finally {
			vi.useRealTimers();
		}
	});

	it("of a turn go together; those that come meanwhile are the next batch, and each gets its own answer", async () => {
		const { asked, batches } = rig();
		const first = ["a", "b"].map((id) => batches.ask(request(id)));
		await turn();
		const second = ["c", "d"].map((id) => batches.ask(request(id)));
		await turn();
		expect(asked.map(({ ids }) => ids)).toEqual([["a", "b"]]);
		asked[0]!.answer();
		expect((await Promise.all(first)).map(({ node }) => node)).toEqual(["for a", "for b"]);
		await turn();
		expect(asked.map(({ ids }) => ids)).toEqual([
			["a", "b"],
			["c", "d"],
		]);
		asked[1]!.answer();
		expect((await Promise.all(second)).map(({ node }) => node)).toEqual(["for c", "for d"]);
		const last = batches.ask(request("e"));
		await turn();
		asked[2]!.answer();
		expect((await last).node).toBe("for e");
	});

	it("have 500 in a batch at most, and 10,000 may wait: one more gets the chosen node", async () => {
		const { asked, batches } = rig();
		const all = Array.from({ length: 10_000 }, (_, index) => batches.ask(request(String(index))));
		expect(await batches.ask(request("one more"))).toEqual({ node: "n0", outcome: "unavailable" });
		for (let batch = 0; batch < 20; batch++) {
			await turn();
			expect(asked[batch]!.ids).toHaveLength(500);
			asked[batch]!.answer();
		}
		expect((await Promise.all(all)).filter(({ outcome }) => outcome === "kept")).toHaveLength(10_000);
	});

	it("get the chosen node when the question fails, or an answer is missing", async () => {
		const { asked, batches } = rig();
		const failing = batches.ask(request("a"));
		await turn();
		asked[0]!.fail();
		expect(await failing).toEqual({ node: "n0", outcome: "unavailable" });
		const [one, two] = [batches.ask(request("b")), batches.ask(request("c"))];
		await turn();
		asked[1]!.answer(1);
		expect([await one, await two]).toEqual([
			{ node: "for b", outcome: "kept" },
			{ node: "n0", outcome: "unavailable" },
		]);
	});
});
