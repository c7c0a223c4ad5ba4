import { EventEmitter } from "node:events";
import type { Centrifuge } from "centrifuge";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type DurableMessage, durableSubscription } from "../src/index.ts";

/** What the helper uses of the library's client. */
class FakeClient extends EventEmitter {
	state = "subscribed";
	readonly calls: string[] = [];
	fails = false;
	newSubscription(): this {
		return this;
	}
	subscribe(): void {
		this.calls.push("subscribe");
	}
	unsubscribe(): void {
		this.calls.push("unsubscribe");
	}
	removeSubscription(): void {
		this.calls.push("remove");
	}
	async rpc(method: string, { offset }: { readonly offset?: number }): Promise<void> {
		this.calls.push(`${method} ${offset}`);
		if (this.fails) throw new Error("not connected");
	}
	subscribed(offset: number, epoch = "e", recovered = true): void {
		this.emit("subscribed", { streamPosition: { offset, epoch }, wasRecovering: true, recovered });
	}
	publish(...offsets: number[]): void {
		for (const offset of offsets) this.emit("publication", { offset, data: `m${offset}` });
	}
	/** Since the last call. */
	taken(): string[] {
		return this.calls.splice(0);
	}
}

describe("durableSubscription", () => {
	let client: FakeClient;
	let got: number[];
	beforeEach(() => {
		vi.useFakeTimers();
		client = new FakeClient();
		got = [];
	});
	afterEach(() => {
		vi.useRealTimers();
	});

	function consume(onMessage: (message: DurableMessage) => Promise<void> = async ({ offset }) => void got.push(offset), more: object = {}) {
		const subscription = durableSubscription(client as unknown as Centrifuge, "c", { consumer: "k", onMessage, ...more });
		client.subscribed(1);
		client.taken();
		return subscription;
	}

	it("acknowledges the last of several that were handled, after they were", async () => {
		consume();
		client.publish(2, 3, 4);
		await vi.advanceTimersByTimeAsync(99);
		expect(got).toEqual([2, 3, 4]);
		expect(client.taken()).toEqual([]);
		await vi.advanceTimersByTimeAsync(1);
		expect(client.taken()).toEqual(["shardcast.ack 4"]);
	});

	it("drops what comes again, and acknowledges again what the server had not heard", async () => {
		consume();
		client.fails = true;
		client.publish(2, 3);
		await vi.advanceTimersByTimeAsync(100);
		client.fails = false;
		client.taken();
		client.subscribed(1);
		client.publish(2, 3, 4);
		await vi.advanceTimersByTimeAsync(100);
		expect(got).toEqual([2, 3, 4]);
		expect(client.taken()).toEqual(["shardcast.ack 4"]);
	});

	it("asks again for a message whose handler failed, and handles none behind it before", async () => {
		let failures = 0;
		const problems: unknown[] = [];
		consume(
			async ({ offset }) => {
				if (offset === 3 && failures++ === 0) throw new Error("not now");
				got.push(offset);
			},
			{ onError: (error: unknown) => problems.push(error) },
		);
		client.publish(2, 3, 4);
		await vi.advanceTimersByTimeAsync(999);
		client.publish(5);
		expect(client.taken()).toEqual(["shardcast.ack 2"]);
		await vi.advanceTimersByTimeAsync(1);
		expect(client.taken()).toEqual(["unsubscribe", "subscribe"]);
		client.subscribed(2);
		client.publish(3, 4, 5);
		await vi.advanceTimersByTimeAsync(100);
		expect(got).toEqual([2, 3, 4, 5]);
		expect(problems).toHaveLength(1);
	});

	it("keeps a bounded number of messages, and asks for the others later", async () => {
		const releases: (() => void)[] = [];
		consume(
			({ offset }) => {
				got.push(offset);
				return new Promise((resolve) => releases.push(resolve));
			},
			{ waitingMax: 2 },
		);
		client.publish(2, 3, 4, 5);
		for (let index = 0; index < 2; index++) {
			releases[index]!();
			await vi.advanceTimersByTimeAsync(10);
		}
		await vi.advanceTimersByTimeAsync(1000);
		expect(client.taken()).toEqual(["shardcast.ack 3", "unsubscribe", "subscribe"]);
		client.subscribed(3);
		client.publish(4, 5);
		releases[2]?.();
		await vi.advanceTimersByTimeAsync(10);
		expect(got).toEqual([2, 3, 4, 5]);
	});

	it("tells when messages are lost, and goes on with the new ones", async () => {
		const lost = vi.fn();
		consume(undefined, { onLost: lost });
		client.publish(2);
		await vi.advanceTimersByTimeAsync(0);
		client.subscribed(50, "e", false);
		client.publish(51);
		client.subscribed(7, "f");
		client.publish(8);
		await vi.advanceTimersByTimeAsync(100);
		expect(lost).toHaveBeenCalledTimes(2);
		expect(got).toEqual([2, 51, 8]);
		expect(client.taken().at(-1)).toBe("shardcast.ack 8");
	});

	it("close waits for the handler that runs, acknowledges its message, and handles no other", async () => {
		let finish = () => {};
		const subscription = consume(async ({ offset }) => {
			got.push(offset);
			await new Promise<void>((resolve) => {
				finish = resolve;
			});
		});
		client.publish(2, 3);
		await vi.advanceTimersByTimeAsync(200);
		const closed = subscription.close();
		await vi.advanceTimersByTimeAsync(200);
		expect(client.taken()).toEqual([]);
		finish();
		await closed;
		expect(got).toEqual([2]);
		expect(client.taken()).toEqual(["shardcast.ack 2", "unsubscribe", "remove"]);
	});

	it("close acknowledges what was handled and ends the subscription", async () => {
		const subscription = consume();
		client.publish(2);
		await vi.advanceTimersByTimeAsync(0);
		await subscription.close();
		expect(client.taken()).toEqual(["shardcast.ack 2", "unsubscribe", "remove"]);
	});
});
