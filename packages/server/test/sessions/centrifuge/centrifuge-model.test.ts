import { defaultConfig } from "@shardcast/config";
import fc from "fast-check";
import { expect, it } from "vitest";
import { CentrifugeRig } from "../../support/centrifuge-rig.ts";

const channels = ["a", "b", "no:where", "$private", ""];
const command = fc.oneof(
	{ weight: 2, arbitrary: fc.constant({ method: "connect" }) },
	{
		weight: 8,
		arbitrary: fc.record({ method: fc.constantFrom("subscribe", "unsubscribe", "publish"), channel: fc.constantFrom(...channels) }),
	},
	{
		weight: 2,
		arbitrary: fc.record({ method: fc.constant("subscribe"), channel: fc.constantFrom(...channels), token: fc.constant("bad") }),
	},
	{
		weight: 2,
		arbitrary: fc.record({ method: fc.constant("sub_refresh"), channel: fc.constantFrom(...channels), token: fc.constantFrom("", "bad") }),
	},
	{ weight: 1, arbitrary: fc.constantFrom({ method: "refresh", token: "" }, { method: "refresh", token: "bad" }) },
	{ weight: 1, arbitrary: fc.constantFrom({ method: "rpc" }, { method: "send" }, { method: "pong" }, { method: "dance" }) },
);
/** So that joins, leaves and presence are part of the model. */
const announcing = { ...defaultConfig().channelWithoutNamespace, presence: true, joinLeave: true };
type Command = { readonly method: string; readonly channel?: string; readonly token?: string; readonly subs?: readonly string[] };

/** What the protocol says that a client gets: for each command its reply's body, or the code that ends the connection. */
class Model {
	#connected = false;
	readonly #hasHandlers: boolean;
	readonly #subscribed = new Set<string>();
	readonly #byServer = new Set<string>();
	/** What other clients are told of it. */
	readonly announced: string[] = [];

	constructor(hasHandlers: boolean) {
		this.#hasHandlers = hasHandlers;
	}

	/** Null = nothing. */
	answer({ method, channel, token, subs = [] }: Command): string | number | null {
		if (method === "pong" || method === "dance") return 3501;
		if (method === "connect") {
			if (this.#connected) return 3501;
			if (subs.includes("no:where")) return 3501;
			this.#connected = true;
			for (const name of subs) {
				if (name === "" || name === "$private") continue;
				this.#subscribe(name);
				this.#byServer.add(name);
			}
			return "connect";
		}
		if (!this.#connected || channel === "") return 3501;
		if (method === "rpc") return this.#hasHandlers ? "rpc" : "error 108";
		if (method === "send") return this.#hasHandlers ? null : 3508;
		if (method === "refresh") return token === "" ? 3501 : 3500;
		if (method === "sub_refresh") {
			if (!this.#subscribed.has(channel!)) return "error 103";
			if (this.#byServer.has(channel!)) return 3501;
			return token === "" ? "error 107" : 3500;
		}
		if (method === "unsubscribe") {
			if (this.#subscribed.delete(channel!)) this.announced.push(`leave ${channel}`);
			this.#byServer.delete(channel!);
			return "unsubscribe";
		}
		if (method === "subscribe" && this.#subscribed.has(channel!)) return "error 105";
		if (channel === "no:where") return "error 102";
		if (method === "publish") return "publish";
		if (channel === "$private" || token === "bad") return "error 103";
		this.#subscribe(channel!);
		return "subscribe";
	}

	#subscribe(channel: string): void {
		this.#subscribed.add(channel);
		this.announced.push(`join ${channel}`);
	}

	/** The connection ends, however. */
	end(): void {
		for (const channel of this.#subscribed) this.announced.push(`leave ${channel}`);
	}

	get channels(): string[] {
		return [...this.#subscribed].sort();
	}
}

const wire = ({ method, channel, token, subs }: Command, id: number): object => {
	if (method === "pong") return {};
	if (method === "send") return { send: { data: 1 } };
	return {
		id,
		[method]: {
			...(channel !== undefined && { channel }),
			...(token && { token }),
			...(subs && { subs: Object.fromEntries(subs.map((name) => [name, {}])) }),
			...(method === "publish" && { data: id }),
		},
	};
};

it("a session answers any sequence of commands, in any frames, as the model does", { tags: ["long"] }, async () => {
	await fc.assert(
		fc.asyncProperty(
			fc.boolean(),
			fc.subarray(channels),
			fc.array(fc.array(command, { minLength: 1, maxLength: 6 }), { maxLength: 12 }),
			async (hasHandlers, subs, frames) => {
				const rig = new CentrifugeRig({ channelWithoutNamespace: announcing });
				const client = rig.open();
				const model = new Model(hasHandlers);
				if (hasHandlers) {
					rig.endpoint.set.handlers.onRpc("", ({ data }) => data);
					rig.endpoint.set.handlers.onMessage(async () => {});
				}
				let id = 0;
				let ended = 0;
				for (const commands of [[{ method: "connect", subs }], ...frames] as Command[][]) {
					if (ended !== 0) break;
					const expected: string[] = [];
					const sent = commands.map((one) => wire(one, ++id));
					for (const one of commands) {
						const answer = model.answer(one);
						if (typeof answer === "number") {
							ended = answer;
							break;
						}
						if (answer !== null) expected.push(answer);
					}
					client.send(...sent);
					await client.settled();
					const replies = client.frames();
					// One frame for all that need not wait.
					if (commands.every(({ token, method }) => token === undefined && method !== "rpc" && method !== "send"))
						expect(replies.length).toBe(expected.length > 0 ? 1 : 0);
					const bodies = replies.flat().map((reply) => {
						const { error, id: _id, ...body } = reply as { error?: { code: number }; id: number };
						return error === undefined ? Object.keys(body).join() : `error ${error.code}`;
					});
					expect(bodies).toEqual(expected);
				}
				if (ended === 0) {
					expect([...client.session.channels].sort()).toEqual(model.channels);
					expect(rig.endpoint.subscribers.presence.channelCount).toBe(model.channels.length);
					client.transport.peer.leave(1000);
				}
				model.end();
				expect(rig.announced.map((line) => line.trim())).toEqual(model.announced);
				expect(client.session.leaving).toBe(ended);
				expect(rig.kept).toBe(0);
			},
		),
	);
});

it("any bytes are answered or close the connection: nothing throws, and nothing is kept", { tags: ["long"] }, () => {
	const valid = '{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"a"}}\n{"id":3,"publish":{"channel":"a","data":{"x":[1,"é"]}}}';
	const mutated = fc.array(fc.tuple(fc.nat(valid.length), fc.nat(255)), { minLength: 1, maxLength: 4 }).map((changes) => {
		const bytes = new Uint8Array(Buffer.from(valid));
		for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
		return bytes;
	});
	fc.assert(
		fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 100 })), fc.constantFrom("", "cf_protocol=protobuf"), (bytes, query) => {
			const rig = new CentrifugeRig();
			const client = rig.open(query);
			client.session.frame(bytes.slice().buffer);
			if (client.session.leaving === 0) client.transport.peer.leave(1000);
			expect([0, 3501, 3508]).toContain(client.session.leaving);
			expect(rig.kept).toBe(0);
		}),
	);
});
