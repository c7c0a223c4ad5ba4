import { allowedOrigins, Router } from "@shardcast/http";
import { describe, expect, it } from "vitest";
import type { ClientSession } from "../../../src/sessions/client-session.ts";
import { clientSessionContract } from "../../contracts/session-contract.ts";
import { CentrifugeRig } from "../../support/centrifuge-rig.ts";
import { FakeTransport } from "../../support/fake-transport.ts";
import { rawRequest } from "../../support/raw-request.ts";

function uniSession(rig: CentrifugeRig, query: string): ClientSession {
	const outcome = rig.endpoint.endpoints[1]!.connect(rawRequest(query));
	if (!("session" in outcome)) throw new Error("refused");
	return outcome.session as ClientSession;
}

function listening(rig: CentrifugeRig, query = "cf_connect={}") {
	const session = uniSession(rig, query);
	const transport = new FakeTransport(rig.topics, session);
	session.opened(transport);
	return { session, transport, peer: transport.peer };
}

it("a stream requested by HEAD leaves nothing behind", () => {
	const rig = new CentrifugeRig();
	const router = new Router(rig.endpoint.routes, { allowedOrigins: allowedOrigins([]) });
	const head = { method: "HEAD", path: "/connection/uni_sse", query: "", address: "127.0.0.1", header: () => "" };
	expect(router.route(head)).toMatchObject({ status: 200, type: "text/event-stream" });
	expect(rig.kept).toBe(0);
});

it("gets pings, and need not answer", () => {
	const rig = new CentrifugeRig();
	const { peer } = listening(rig);
	for (let second = 0; second < 100; second++) {
		rig.seconds++;
		rig.endpoint.everySecond();
	}
	const pings = peer.received().filter((text) => text === "{}");
	expect(pings.length).toBeGreaterThanOrEqual(3);
	expect(rig.sessions.count).toBe(1);
});

it("is closed with 3502 after 10 s without a connect request, and nothing of it is kept", async () => {
	const rig = new CentrifugeRig();
	const { peer } = listening(rig, "");
	for (let second = 0; second < 12; second++) {
		rig.seconds++;
		rig.endpoint.everySecond();
	}
	expect(await peer.ended).toEqual({ code: 3502, reason: "stale" });
	expect(peer.received()).toEqual(['{"disconnect":{"code":3502,"reason":"stale"}}']);
	expect(rig.kept).toBe(0);
});

it.each([
	["x".repeat(65_537), 1009],
	["[]", 3501],
	['{"subs":{"unknown:a":{}}}', 3501],
])("an invalid first frame closes it: %.20s", async (frame, code) => {
	const rig = new CentrifugeRig();
	const { peer } = listening(rig, "");
	peer.send(frame);
	expect((await peer.ended).code).toBe(code);
	expect(rig.kept).toBe(0);
});

describe("a session that only listens", () => {
	clientSessionContract(() => {
		const rig = new CentrifugeRig();
		return {
			sessions: rig.sessions,
			leaving: rig.leaving,
			frame: null,
			soon: () => rig.soon(),
			create: () => uniSession(rig, `cf_connect=${encodeURIComponent('{"subs":{"a":{}}}')}`),
			handled: () => rig.published.length,
			kept: () => rig.kept,
		};
	});
});
