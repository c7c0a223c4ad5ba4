import { defaultConfig } from "@shardcast/config";
import type { ForwardedAddress } from "@shardcast/http";
import { type PublishResult, publishAccepted } from "@shardcast/wire";
import { describe, expect, it } from "vitest";
import { Hub } from "../../../src/hub/hub.ts";
import { LiveConfig } from "../../../src/lifecycle/live-config.ts";
import type { ClientSession } from "../../../src/sessions/client-session.ts";
import { RawEndpoint } from "../../../src/sessions/raw/raw-endpoint.ts";
import type { RawSession } from "../../../src/sessions/raw/raw-session.ts";
import { SenderIds } from "../../../src/sessions/sender-ids.ts";
import { type ClientSessionRig, clientSessionContract } from "../../contracts/session-contract.ts";
import { ClientList } from "../../support/client-list.ts";
import { FakeTopics, FakeTransport } from "../../support/fake-transport.ts";
import { rawRequest } from "../../support/raw-request.ts";

class Rig extends ClientList implements ClientSessionRig {
	readonly frame = "hello";
	readonly hub = new Hub();
	readonly endpoint: RawEndpoint;
	#handled = 0;
	#query = "channels=a,b";
	/** What comes of messages. */
	result: PublishResult = publishAccepted;

	constructor() {
		super();
		const { row, check } = this;
		this.endpoint = new RawEndpoint({
			sessions: this.sessions,
			hub: this.hub,
			senders: new SenderIds<ClientSession>(),
			incoming: {
				fromClient: () => {
					this.#handled++;
					return this.result;
				},
			},
			check,
			options: { config: { lbAffinityFrom: [], maxPayloadBytes: 1000, messageRate: 100 }, row },
			live: new LiveConfig(defaultConfig({ maxBufferedBytes: FakeTransport.bufferedBytesMax, idleTimeoutMs: 0 })),
			tokens: () => {
				throw new Error("no tokens are looked at");
			},
			members: {
				presence: () => {
					throw new Error("no user is known");
				},
				announce: () => {},
			},
			revocations: () => {
				throw new Error("no user is known");
			},
			userLimit: () => {
				throw new Error("no user is known");
			},
		});
	}

	create(): RawSession {
		const outcome = this.endpoint.connect(rawRequest(this.#query));
		if (!("session" in outcome)) throw new Error("not let in at once");
		return outcome.session as RawSession;
	}

	handled(): number {
		return this.#handled;
	}

	kept(): number {
		const { channelSets, senders, frames } = this.endpoint;
		return (
			channelSets.count + channelSets.subscriptions + channelSets.unfiltered.entered + senders.count + frames.rate.count + this.admitted
		);
	}
}

describe("a raw session", () => {
	clientSessionContract(() => new Rig());

	it.each<[PublishResult, number]>([
		[{ outcome: "too_large", detail: "" }, 1009],
		[{ outcome: "invalid", detail: "" }, 1007],
		[{ outcome: "full" }, 1013],
		[{ outcome: "stopped" }, 0],
	])("with the outcome %j of its message: closed with %i", (result, code) => {
		const rig = new Rig();
		rig.result = result;
		const session = rig.create();
		const transport = new FakeTransport(new FakeTopics(), session);
		session.opened(transport);
		transport.peer.send("x");
		expect(session.leaving).toBe(code);
	});

	it("is counted in the row while it is connected, and by address only if the balancer reported that", () => {
		const rig = new Rig();
		const counts = () => [rig.row.webSockets, rig.row.proxiedSeen];
		const join = (forwarded: ForwardedAddress | null) => {
			rig.forwarded = forwarded;
			const session = rig.create();
			session.opened(new FakeTransport(new FakeTopics(), session));
			return session;
		};
		const [proxied, direct] = [join({ address: "1.2.3.4", byBalancer: true }), join(null)];
		expect(counts()).toEqual([2, 1]);
		join({ address: "1.2.3.4", byBalancer: false }).closed(1000);
		expect(counts()).toEqual([2, 1]);
		proxied.closed(1000);
		expect(counts()).toEqual([1, 0]);
		direct.closed(1000);
		expect(counts()).toEqual([0, 0]);
	});
});
