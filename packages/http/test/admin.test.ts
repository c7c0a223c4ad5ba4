import { describe, expect, it } from "vitest";
import { AdminAccess, plainAdminWarning } from "../src/admin/admin-access.ts";
import { adminBodyBytesMax, adminPaths, adminRoutes } from "../src/admin/admin-routes.ts";
import { FailureLimit } from "../src/admin/failure-limit.ts";
import type { Reply } from "../src/routing/reply.ts";
import type { HttpRequest } from "../src/routing/request.ts";
import { type BodyNeeded, Router } from "../src/routing/router.ts";

const key = "correct-horse-battery";

const request = (headers: Readonly<Record<string, string>> = {}, changes: Partial<HttpRequest> = {}): HttpRequest => ({
	...{ method: "GET", path: adminPaths.status, query: "", address: "192.0.2.1" },
	header: (name) => headers[name] ?? "",
	...changes,
});

function access({ isOff = false, isEncrypted = true } = {}) {
	const now = { ms: 0 };
	const lines: string[] = [];
	const { admit, counts } = new AdminAccess({
		key: () => (isOff ? undefined : key),
		isEncrypted,
		warn: (_fields, text) => lines.push(text),
		nowMs: () => now.ms,
	});
	const statusOf = (...given: Parameters<typeof request>) => {
		const admitted = admit(request(...given));
		return typeof admitted === "string" ? 200 : admitted.status;
	};
	return { admit, counts, now, lines, statusOf };
}

describe("the admin interface over HTTP", () => {
	it("takes the key in either header, and nothing else", () => {
		const { admit, statusOf, counts } = access();
		expect(admit(request({ "x-admin-key": key }))).toBe("192.0.2.1 with the admin key");
		expect(statusOf({ authorization: `Bearer ${key}` })).toBe(200);
		expect(statusOf()).toBe(401);
		expect(statusOf({ "x-admin-key": `${key}x` })).toBe(401);
		expect(statusOf({ authorization: `Basic ${key}` })).toBe(401);
		expect(statusOf({ cookie: `admin-key=${key}`, "x-api-key": key })).toBe(401);
		expect(statusOf({}, { query: `token=${key}` })).toBe(401);
		expect(counts).toEqual({ admitted: 2, off: 0, missingKey: 4, wrongKey: 1, limited: 0 });
	});

	it("is off without a key, also on this machine", () => {
		const { statusOf, counts } = access({ isOff: true });
		for (const headers of [{}, { "x-admin-key": "" }, { "x-admin-key": "undefined" }, { authorization: "Bearer " }])
			expect(statusOf(headers, { address: "127.0.0.1" })).toBe(403);
		expect(counts).toMatchObject({ admitted: 0, off: 4 });
	});

	it("makes an address wait after ten wrong keys in a minute, also with the right one, and no other address", () => {
		const { admit, statusOf, counts, now, lines } = access();
		for (let attempt = 0; attempt < 10; attempt++) expect(statusOf({ "x-admin-key": "wrong" })).toBe(401);
		now.ms = 20_000;
		const late = admit(request({ "x-admin-key": key })) as Reply;
		expect(late).toMatchObject({ status: 429, headers: { "Retry-After": "40" } });
		expect(statusOf({ "x-admin-key": key }, { address: "192.0.2.2" })).toBe(200);
		now.ms = 60_001;
		expect(statusOf({ "x-admin-key": key })).toBe(200);
		expect(counts).toMatchObject({ wrongKey: 10, limited: 1, admitted: 2 });
		expect(lines).toEqual(["admin: a wrong key from 192.0.2.1"]);
	});

	it("warns when a key came over plain HTTP from another machine, once in a while", () => {
		const { statusOf, lines, now } = access({ isEncrypted: false });
		statusOf({ "x-admin-key": key }, { address: "127.0.0.1" });
		statusOf({ "x-admin-key": key, "x-forwarded-proto": "https" });
		expect(lines).toEqual([]);
		for (let call = 0; call < 5; call++) statusOf({ "x-admin-key": key });
		expect(lines).toHaveLength(1);
		expect(lines[0]).toContain("the key came from 192.0.2.1 over plain HTTP");
		now.ms = 10_001;
		statusOf({ "x-admin-key": key });
		expect(lines).toHaveLength(2);
		expect(access({ isEncrypted: true }).lines).toEqual([]);
	});

	it("warns at the start where the key could be read on the way", () => {
		expect(plainAdminWarning({ key, isEncrypted: false, host: undefined })).toContain("others can read the key on the way");
		expect(plainAdminWarning({ key, isEncrypted: false, host: "0.0.0.0" })).not.toBeNull();
		for (const safe of [
			{ key: undefined, isEncrypted: false, host: undefined },
			{ key, isEncrypted: true, host: undefined },
			{ key, isEncrypted: false, host: "127.0.0.1" },
			{ key, isEncrypted: false, host: "localhost" },
		])
			expect(plainAdminWarning(safe)).toBeNull();
	});

	it("remembers so many addresses, an IPv6 network as one", () => {
		const limit = new FailureLimit({ failuresMax: 2, windowMs: 1000, addressesMax: 3 });
		limit.failed("2001:db8::1", 0);
		limit.failed("2001:db8::ffff", 0);
		expect(limit.waitMs("2001:db8::2", 400)).toBe(600);
		expect(limit.waitMs("2001:db8:0:1::2", 400)).toBe(0);
		limit.failed("::ffff:192.0.2.1", 0);
		limit.failed("192.0.2.1", 0);
		expect(limit.waitMs("192.0.2.1", 0)).toBe(1000);
		for (const address of ["192.0.2.2", "192.0.2.3", "192.0.2.4"]) limit.failed(address, 1);
		// The oldest are forgotten.
		expect(limit.waitMs("2001:db8::2", 400)).toBe(0);
		expect(limit.waitMs("192.0.2.1", 400)).toBe(0);
	});
});

describe("the routes of the admin interface", () => {
	const routerWith = (parts: Partial<Parameters<typeof adminRoutes>[0]>) =>
		new Router(
			adminRoutes({ admit: () => "ann", answer: async () => ({ status: 200, body: "{}", headers: {} }), waitMsMax: 7, ...parts }),
			{
				allowedOrigins: new Set(["*"]),
			},
		);

	it("ask the supervisor only for callers who may", async () => {
		const calls: unknown[] = [];
		const answer = async (call: unknown) => {
			calls.push(call);
			return { status: 202, body: "{}", headers: {} };
		};
		const { admit } = access();
		const router = routerWith({ admit, answer });
		expect(router.route(request())).toMatchObject({ status: 401 });
		expect(router.route(request({}, { method: "POST", path: adminPaths.run }))).toMatchObject({ status: 401 });
		expect(calls).toEqual([]);
		const headers = { "x-admin-key": key };
		expect(await router.route(request(headers, { path: adminPaths.operation, query: "id=1&after=2" }))).toMatchObject({ status: 202 });
		const needed = router.route(request(headers, { method: "POST", path: adminPaths.run }));
		await (needed as BodyNeeded).whole(Buffer.from("{1}"));
		const who = "192.0.2.1 with the admin key";
		expect(calls).toEqual([
			{ kind: "operation", query: "id=1&after=2", body: "", who, waitMsMax: 7 },
			{ kind: "run", query: "", body: "{1}", who, waitMsMax: 7 },
		]);
	});

	it("let no page of another site read an answer, whatever --allowed-origins says", async () => {
		const router = routerWith({});
		const page = { origin: "https://evil.example", host: "a.example" };
		const answered = (await router.route(request(page))) as Reply;
		expect(Object.keys(answered.headers).filter((name) => /access-control/i.test(name))).toEqual([]);
		const preflight = (await router.route(request(page, { method: "OPTIONS", path: adminPaths.run }))) as Reply;
		expect(Object.keys(preflight.headers).filter((name) => /access-control/i.test(name))).toEqual([]);
	});

	it("refuse long bodies by their announced length, unknown parameters, and more calls than a process may have waiting", async () => {
		const long = request({ "content-length": String(adminBodyBytesMax + 1) }, { method: "POST", path: adminPaths.run });
		expect(routerWith({}).route(long)).toMatchObject({ status: 413 });
		expect(routerWith({}).route(request({}, { query: "x=1" }))).toMatchObject({ status: 400 });
		let release!: () => void;
		const gate = new Promise<void>((resolve) => {
			release = resolve;
		});
		const router = routerWith({ answer: () => gate.then(() => ({ status: 200, body: "{}", headers: {} })) });
		const waiting = Array.from({ length: 32 }, () => router.route(request()));
		expect(await router.route(request())).toMatchObject({ status: 503 });
		release();
		expect(await Promise.all(waiting)).toHaveLength(32);
		expect(await router.route(request())).toMatchObject({ status: 200 });
	});

	it("say so when the supervisor cannot be asked", async () => {
		const router = routerWith({ answer: () => Promise.reject(new Error("it hangs")) });
		expect(await router.route(request())).toMatchObject({
			status: 503,
			body: expect.stringContaining("the supervisor does not answer: it hangs"),
		});
	});
});
