import { type BodyRoute, json, type Reply, Router } from "@shardcast/http";
import { expect, it } from "vitest";
import { Requests } from "../../../src/transports/websocket/requests/sockets-requests.ts";
import type { GuardedApp } from "../../../src/transports/websocket/sockets-app.ts";

type Receiver = Parameters<GuardedApp["receive"]>[1];

/** Requests to one route, which answers when the test says so. */
function rig() {
	const answers: ((reply: Reply) => void)[] = [];
	const route: BodyRoute = {
		...{ kind: "body", method: "POST", path: "/api/info", bodyBytesMax: 100 },
		begin: () => () => new Promise<Reply>((resolve) => answers.push(resolve)),
	};
	const statuses: string[] = [];
	let receiver: Receiver | null = null;
	const app: Pick<GuardedApp, "receive" | "later"> = {
		receive: (_response, given) => {
			receiver = given;
		},
		later: async (_response, promised, isGone, then) => {
			const value = await promised;
			if (!isGone()) then(value);
		},
	};
	const requests = new Requests({
		app: app as GuardedApp,
		router: new Router([route], { allowedOrigins: [] as never }),
		counters: { add: () => {} },
		labelledSockets: null,
		forwardedAddress: () => null,
		isCrowded: () => false,
	});
	const response = {
		cork: (write: () => void) => write(),
		writeHeader: () => {},
		end: (body: string) => statuses.push(body),
		getRemoteAddressAsText: () => Buffer.from("127.0.0.1"),
	};
	const request = {
		getCaseSensitiveMethod: () => "POST",
		getUrl: () => "/api/info",
		getQuery: () => "",
		getHeader: () => "",
		forEach: () => {},
	};
	requests.serve(response as never, request as never);
	return { requests, answers, statuses, receiver: receiver! as Receiver };
}

it("waits for a request until its body is complete and its handler has answered", async () => {
	const { requests, answers, statuses, receiver } = rig();
	let isDone = false;
	const none = requests.whenNone().then(() => {
		isDone = true;
	});
	receiver.data(new ArrayBuffer(0), true);
	await new Promise(setImmediate);
	expect([isDone, requests.bodies.count], "the body is complete, but there is no answer yet").toEqual([false, 0]);
	answers[0]!(json(200, { ok: true }));
	await none;
	expect(statuses).toEqual(['{"ok":true}\n']);
	await requests.whenNone();
});

it("waits for a handler whose client is gone, since it may still publish", async () => {
	const { requests, answers, statuses, receiver } = rig();
	receiver.data(new ArrayBuffer(0), true);
	receiver.aborted();
	let isDone = false;
	const none = requests.whenNone().then(() => {
		isDone = true;
	});
	await new Promise(setImmediate);
	expect(isDone).toBe(false);
	answers[0]!(json(200, {}));
	await none;
	expect(statuses).toEqual([]);
});
