import { describe, expect, it } from "vitest";
import { allowedOrigins, BodyNeeded, type HttpRequest, json, type Reply, type Route, Router, refusal, StreamNeeded } from "../src/index.ts";

const request = (method: string, path: string, headers: Readonly<Record<string, string>> = {}): HttpRequest => ({
	method,
	path,
	query: "",
	address: "10.0.0.1",
	header: (name) => headers[name] ?? "",
});
const asking = (method: string, path: string, query: string): HttpRequest => ({ ...request(method, path), query });
const start = { type: "text/event-stream", idlePart: ":\n\n", opened: () => {}, closed: () => {} };
const routes: readonly Route[] = [
	{ kind: "answer", method: "GET", path: "/get", answer: () => json(200, { from: "get" }) },
	{ kind: "answer", path: "/any", answer: ({ method }) => refusal("upgrade_required", method) },
	{ kind: "answer", method: "GET", path: "/both", answer: async () => json(200, { from: "get" }) },
	{ kind: "body", method: "POST", path: "/both", bodyBytesMax: 10, begin: () => () => json(200, {}) },
	{
		kind: "body",
		method: "POST",
		path: "/pages",
		bodyBytesMax: 10,
		bodyHint: "a message has at most 5",
		forPages: true,
		keepAlive: true,
		begin: ({ header }) => (header("x-api-key") === "wrong" ? refusal("unauthorized") : (body) => json(200, { bytes: body.length })),
	},
	{ kind: "answer", method: "GET", path: "/asked", query: ["channel", "tail"], answer: () => json(200, {}) },
	{ kind: "answer", method: "GET", path: "/none", query: [], answer: () => json(200, {}) },
	{ kind: "stream", method: "GET", path: "/stream", begin: ({ query }) => (query === "full" ? refusal("unavailable") : start) },
];
const ours = "https://ours.example";
const router = new Router(routes, { allowedOrigins: allowedOrigins([ours]) });
const reply = (method: string, path: string, headers?: Readonly<Record<string, string>>): Reply => {
	const routed = router.route(request(method, path, headers));
	if (routed instanceof Promise || routed instanceof BodyNeeded || routed instanceof StreamNeeded) throw new Error("no reply yet");
	return routed;
};
const codeOf = ({ body }: Reply) => (JSON.parse(String(body)) as { error: { code: string } }).error.code;

describe("Router", () => {
	it("answers from the head, HEAD like GET, and ends the connection unless the route keeps it", async () => {
		for (const method of ["GET", "HEAD"]) expect(reply(method, "/get")).toMatchObject({ status: 200, close: true });
		expect(await router.route(request("GET", "/both"))).toMatchObject({ status: 200, close: true });
		for (const method of ["DELETE", "PROPFIND", "HEAD"]) expect(codeOf(reply(method, "/any"))).toBe("upgrade_required");
	});

	it.each([
		["/asked", "chanel=a", 'unknown query parameter "chanel"; did you mean "channel"?'],
		["/asked", "channel=a&Tail=b", 'unknown query parameter "Tail"; did you mean "tail"?'],
		["/asked", "x=1", 'unknown query parameter "x"; this path takes "channel" and "tail"'],
		["/asked", `${"y".repeat(9000)}=1`, `unknown query parameter "${"y".repeat(40)}"; this path takes "channel" and "tail"`],
		["/none", "x", 'unknown query parameter "x"; this path takes none'],
	])("400 for a parameter that a path does not know: %s", (path, query, message) => {
		const refused = router.route(asking("GET", path, query)) as Reply;
		expect({ status: refused.status, body: JSON.parse(String(refused.body)) }).toEqual({
			status: 400,
			body: { error: { code: "bad_request", message } },
		});
	});

	it("takes the parameters that it knows, none, and any where it has no list", () => {
		for (const [path, query] of [
			["/asked", "channel=a&tail=b&channel="],
			["/asked", ""],
			["/asked", "&&"],
			["/get", "x=1"],
		] as const)
			expect(router.route(asking("GET", path, query)), `${path}?${query}`).toMatchObject({ status: 200 });
	});

	it("404: names what was asked for, cut to a length", () => {
		expect(reply("GET", "/nowhere")).toMatchObject({ status: 404, close: true });
		expect(String(reply("GET", "/nowhere").body)).toContain("GET /nowhere");
		expect(String(reply("X".repeat(1000), `/${"x".repeat(100_000)}`).body).length).toBeLessThan(400);
		for (const path of ["/get/", "/GET", "", "/__proto__", "constructor"]) expect(codeOf(reply("GET", path)), path).toBe("not_found");
	});

	it("404 for a WebSocket: names where these are, if anywhere", () => {
		const message = (answer: Reply) => (JSON.parse(String(answer.body)) as { error: { message: string } }).error.message;
		const upgrade = { upgrade: "WebSocket" };
		expect(message(reply("GET", "/ws/", upgrade))).toBe("there is nothing at GET /ws/; WebSockets connect to /any");
		expect(message(reply("GET", "/ws/"))).toBe("there is nothing at GET /ws/");
		const without = new Router([routes[0]!], { allowedOrigins: allowedOrigins([]) });
		expect(message(without.route(request("GET", "/ws", upgrade)) as Reply)).toBe("there is nothing at GET /ws");
	});

	it.each([
		["POST", "/get", "GET, HEAD, OPTIONS", "use GET"],
		["PUT", "/both", "GET, HEAD, POST, OPTIONS", "use GET or POST"],
		["get", "/get", "GET, HEAD, OPTIONS", "use GET"],
		["GET", "/pages", "POST, OPTIONS", "use POST"],
	])("405: %s %s says what it takes", (method, path, allow, message) => {
		const refused = reply(method, path);
		expect(refused).toMatchObject({ status: 405, close: true, headers: { Allow: allow } });
		expect(String(refused.body)).toContain(message);
	});

	it("OPTIONS: 204 with what the path takes; for pages also what a browser asks for", () => {
		expect(reply("OPTIONS", "/any")).toEqual({ status: 204, body: "", close: true, headers: { Allow: "GET, OPTIONS" } });
		expect(codeOf(reply("OPTIONS", "/nowhere"))).toBe("not_found");
		expect(reply("OPTIONS", "/both")).toEqual({ status: 204, body: "", close: true, headers: { Allow: "GET, HEAD, POST, OPTIONS" } });
		const { headers, close } = reply("OPTIONS", "/pages", { origin: ours });
		expect(close, "the POST comes next, on the same connection").toBe(false);
		expect(headers).toMatchObject({ "Access-Control-Allow-Origin": ours, "Access-Control-Allow-Methods": "POST", Vary: "Origin" });
	});

	it("reads a body no longer than the route takes, once its handler has seen the head", () => {
		const wanted = router.route(request("POST", "/pages", { "content-length": "10" })) as BodyNeeded;
		expect(wanted.bytesMax).toBe(10);
		expect(wanted.whole(new Uint8Array(3))).toMatchObject({ status: 200, close: false });
		const tooLong = reply("POST", "/pages", { "content-length": "11" });
		expect(tooLong).toMatchObject({ status: 413, close: true });
		expect(String(tooLong.body)).toContain("longer than 10 bytes; a message has at most 5");
		expect(wanted.refuse("too_large")).toEqual(tooLong);
		expect(wanted.refuse("too_slow")).toMatchObject({ status: 408, close: true });
		expect(wanted.refuse("unavailable")).toMatchObject({ status: 503, close: true, headers: { "Retry-After": "1" } });
		expect(reply("POST", "/pages", { "x-api-key": "wrong", "content-length": "1e9" })).toMatchObject({ status: 401, close: false });
	});

	it("opens a stream with a head of its type, or says why not; to HEAD only the head", () => {
		const wanted = router.route(request("GET", "/stream")) as StreamNeeded;
		expect(wanted.start).toBe(start);
		expect(wanted.head).toMatchObject({ status: 200, type: "text/event-stream", headers: { "Cache-Control": "no-store" } });
		expect(reply("HEAD", "/stream")).toEqual(wanted.head);
		expect(router.route({ ...request("GET", "/stream"), query: "full" })).toMatchObject({ status: 503, close: true });
	});

	it("tells a page of an allowed origin that it may read every answer, and refuses those of others", async () => {
		const page = { origin: ours };
		const wanted = router.route(request("POST", "/pages", page)) as BodyNeeded;
		const all = [
			reply("GET", "/pages", page),
			reply("POST", "/pages", { ...page, "x-api-key": "wrong" }),
			reply("POST", "/pages", { ...page, "content-length": "11" }),
			(await wanted.whole(new Uint8Array(1))) as Reply,
			wanted.refuse("too_slow"),
		];
		expect(all.map(({ status }) => status)).toEqual([405, 401, 413, 200, 408]);
		for (const { headers } of all) expect(headers).toMatchObject({ "Access-Control-Allow-Origin": ours, Vary: "Origin" });
		for (const method of ["OPTIONS", "POST"]) {
			const foreign = reply(method, "/pages", { origin: "https://theirs.example", host: "a" });
			expect(foreign).toMatchObject({ status: 403, close: true });
			expect(Object.keys(foreign.headers)).not.toContain("Access-Control-Allow-Origin");
		}
		expect(Object.keys(reply("GET", "/get", page).headers), "not for pages").not.toContain("Access-Control-Allow-Origin");
	});

	it("refuses a foreign page that hides where it is from, as for an image, unless all may ask", () => {
		const get: Route = { kind: "answer", method: "GET", path: "/", forPages: true, answer: () => json(200, {}) };
		const [some, everybody] = [[ours], ["*"]].map((list) => new Router([get], { allowedOrigins: allowedOrigins(list) }));
		const from = (router: Router, site: string) => router.route(request("GET", "/", { "sec-fetch-site": site, host: "a" })) as Reply;
		const statuses = ["cross-site", "same-site", "same-origin", "none", ""].map((site) => from(some!, site).status);
		expect(statuses).toEqual([403, 403, 200, 200, 200]);
		expect(from(everybody!, "cross-site").status).toBe(200);
	});

	it("a body may be answered by a stream; a stream that only a HEAD asked for is over at once", () => {
		const over: string[] = [];
		const stream = (name: string) => ({ ...start, closed: () => over.push(name) });
		const streams = new Router(
			[
				{ kind: "body", method: "POST", path: "/", bodyBytesMax: 10, begin: () => () => stream("post") },
				{ kind: "stream", method: "GET", path: "/", begin: () => stream("get") },
			],
			{ allowedOrigins: allowedOrigins([]) },
		);
		const wanted = (streams.route(request("POST", "/")) as BodyNeeded).whole(new Uint8Array(1));
		expect(wanted).toBeInstanceOf(StreamNeeded);
		expect((wanted as StreamNeeded).head).toMatchObject({ status: 200, type: "text/event-stream", close: true });
		expect(streams.route(request("HEAD", "/"))).toMatchObject({ status: 200, type: "text/event-stream" });
		expect(over).toEqual(["get"]);
	});

	it("takes no two routes for one path and method", () => {
		const [first] = routes;
		expect(() => new Router([first, first], { allowedOrigins: allowedOrigins([]) })).toThrow("GET /get");
	});
});
