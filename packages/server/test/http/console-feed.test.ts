import { describe, expect, it, vi } from "vitest";
import type { BusyChannel } from "../../src/console/channel-activity.ts";
import { ConsoleEndpoint } from "../../src/console/console-endpoint.ts";
import { ConsoleFeed, type ConsoleViewer, nothingWatched } from "../../src/console/console-feed.ts";
import type { ConsoleChannel, ConsoleSnapshot } from "../../src/console/console-snapshot.ts";
import { sessionContract } from "../contracts/session-contract.ts";
import { rawRequest } from "../support/raw-request.ts";

const channel = { name: "chat:1", perSecond: 0, subscribers: 3, present: 2, history: { offset: 7, kept: 5 } };

class FeedRig {
	readonly searched: string[] = [];
	readonly snapshots: (readonly BusyChannel[])[] = [];
	readonly feed = new ConsoleFeed({
		nowMs: () => 0,
		snapshot: async (busy) => {
			this.snapshots.push(busy);
			return { type: "snapshot" } as ConsoleSnapshot;
		},
		find: async (search): Promise<readonly ConsoleChannel[]> => {
			this.searched.push(search);
			return [channel];
		},
	});

	/** A page, and what it was sent. */
	viewer(): ConsoleViewer & { readonly sent: { type: string }[] } {
		const sent: { type: string }[] = [];
		const viewer = {
			...nothingWatched,
			sent,
			send: (text: string) => sent.push(JSON.parse(text)),
			getBufferedAmount: () => 0,
			end: () => {},
		};
		this.feed.add(viewer);
		return viewer;
	}

	ask(viewer: ConsoleViewer, request: unknown): void {
		this.feed.request(viewer, new Uint8Array(Buffer.from(JSON.stringify(request))).buffer);
	}
}

const settled = (check: () => void) => vi.waitFor(check, { timeout: 8_000, interval: 1 });

describe("a search for channels in the console", () => {
	it("is answered to the page that asked, until the page ends it", async () => {
		const rig = new FeedRig();
		const [one, other] = [rig.viewer(), rig.viewer()];
		try {
			await settled(() => expect(other.sent).not.toEqual([]));
			expect(rig.searched).toEqual([]);
			rig.ask(one, { search: "chat" });
			await settled(() => expect(one.sent).toContainEqual({ type: "channels", search: "chat", channels: [channel] }));
			rig.ask(one, { search: "" });
			await settled(() => expect(one.search).toBeNull());
			expect(other.sent.every(({ type }) => type === "snapshot")).toBe(true);
		} finally {
			rig.feed.remove(one);
			rig.feed.remove(other);
		}
	});

	it.each([[{ search: 7 }], [null], ["search"], [[]], [{ search: "x".repeat(3000) }], [{}]])("%j is not a request", (request) => {
		const rig = new FeedRig();
		const viewer = rig.viewer();
		rig.ask(viewer, request);
		expect(viewer.search).toBeNull();
		rig.feed.remove(viewer);
	});

	it("costs nothing while nobody watches: no snapshot is created, and no channel is listed", async () => {
		vi.useFakeTimers();
		try {
			const rig = new FeedRig();
			const viewer = rig.viewer();
			rig.ask(viewer, { search: "chat" });
			await vi.advanceTimersByTimeAsync(2500);
			rig.feed.remove(viewer);
			const { length } = rig.searched;
			expect(length).toBeGreaterThan(1);
			await vi.advanceTimersByTimeAsync(10_000);
			expect(rig.searched).toHaveLength(length);
		} finally {
			vi.useRealTimers();
		}
	});
});

describe("the session of a console page", () => {
	sessionContract(() => {
		const { feed } = new FeedRig();
		const check = { stopping: () => null, address: () => "127.0.0.1", overRate: () => null };
		const endpoint = new ConsoleEndpoint({ feed, check, rules: () => ({ token: "secret", authRequired: false }) });
		const create = () => {
			const outcome = endpoint.connect(rawRequest("token=secret"));
			if ("refused" in outcome) throw new Error(`refused: ${outcome.refused.status}`);
			return outcome.session;
		};
		return { create, soon: () => {}, kept: () => Number(feed.watching) };
	});
});
