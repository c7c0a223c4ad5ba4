import { type Config, defaultConfig } from "@shardcast/config";
import { waitFor } from "@shardcast/testkit";
import { describe, expect, it } from "vitest";
import type WebSocket from "ws";
import { frameBytes } from "./support/fake-backend.ts";
import { gatewayRigs, tokenOf } from "./support/gateway-rig.ts";

const [video, file] = [2, 4];
const { start } = gatewayRigs();
const within = { deadlineMs: 10_000 };
const key = "a-secret-of-some-length";

describe("options of a gateway", () => {
	it("live options apply to clients that are connected", async () => {
		const rig = await start({ ackTimeoutMs: 600_000, stalledClientTimeoutMs: 600_000 });
		const client = await rig.client();
		const data = await rig.backends[0]!.connection("data");
		const send = (text: string) => data.socket.write(frameBytes(video, client.id, text));
		send("1");
		await waitFor(() => client.texts.length === 1, { ...within, what: "the first frame" });
		send("2");
		await waitFor(() => rig.report.frames.from_backends === 2, { ...within, what: "a second frame" });
		const reload = (changes: Partial<Config>) => rig.gateway.reload({ ...rig.gateway.config, ...changes });
		reload({ ackTimeoutMs: 50 });
		await waitFor(() => client.texts.length === 2, { ...within, what: "the frame that was overdue" });
		reload({ ackTimeoutMs: 600_000, videoWindow: 4 });
		for (const text of ["3", "4", "5"]) send(text);
		await waitFor(() => client.texts.length === 5, { ...within, what: "frames within the larger window" });
		reload({ clientBandwidth: 1000 });
		const beganMs = performance.now();
		for (let sent = 0; sent < 4; sent++) data.socket.write(frameBytes(file, client.id, Buffer.alloc(999)));
		await waitFor(() => client.frames.length === 9, { ...within, what: "frames at the bandwidth" });
		// The bucket was empty at first, since there was no limit before.
		expect(performance.now() - beganMs).toBeGreaterThan(1900);
		reload({ clientBandwidth: 0 });
		client.pause();
		for (let sent = 0; sent < 400; sent++) data.socket.write(frameBytes(file, client.id, Buffer.alloc(64 * 1024)));
		await waitFor(() => rig.report.backends[0]!.stopped.client! > 0, { ...within, what: "the backend waits" });
		reload({ stalledClientTimeoutMs: 100 });
		await waitFor(() => rig.report.clients.closed.stalled === 1, { ...within, what: "the client is closed" });
	});

	it("--client-bandwidth holds what a client sends, in order, and drops VIDEO above it", async () => {
		const rig = await start({ clientBandwidth: 2000 });
		const client = await rig.client();
		const data = await rig.backends[0]!.connection("data");
		const beganMs = performance.now();
		for (let sent = 0; sent < 6; sent++) client.send(file, 1, Buffer.from(String(sent).padEnd(999)));
		client.send(video, 1, "dropped");
		await waitFor(() => rig.report.dropped.bandwidth === 1, { ...within, what: "the VIDEO frame" });
		const numbers = () => data.frames.filter(({ frameClass }) => frameClass === file).map(({ content }) => Number(content.toString()));
		await waitFor(() => numbers().length === 6, { ...within, what: "all frames" });
		expect(numbers()).toEqual([0, 1, 2, 3, 4, 5]);
		expect(performance.now() - beganMs).toBeGreaterThan(1400);
	});

	it("tokens: without one 401, with a wrong one 401, and new clients follow a reload", async () => {
		const rig = await start({ tokenHmacSecret: "a-secret-of-some-length" });
		const refused = async (query = ""): Promise<number> => {
			const { socket } = rig.open({}, query);
			return new Promise((resolve) => socket.on("unexpected-response", (_, response) => resolve(response.statusCode!)));
		};
		expect([await refused(), await refused("?token=wrong")]).toEqual([401, 401]);
		expect(rig.report.clients.refused.unauthorized).toBe(2);
		rig.gateway.reload(defaultConfig({ ...rig.gateway.config, tokenHmacSecret: undefined }));
		await rig.client();
	});

	it("a reload that requires tokens closes the clients that have none, with the code of a shard, and leaves those that have one", async () => {
		const rig = await start({ requireAuth: false, tokenHmacSecret: key });
		const [open, known] = [await rig.client(), await rig.open({}, `?token=${tokenOf("ann", key)}`).welcome()];
		const reload = (changes: Partial<Config>) => rig.gateway.reload({ ...rig.gateway.config, ...changes });
		reload({ requireAuth: true, allowAnonymousConnect: true });
		reload({ requireAuth: false, allowAnonymousConnect: false });
		expect(rig.report.clients.closed.token_required).toBe(0);
		reload({ requireAuth: true });
		expect(await open.closing()).toEqual({ code: 3011, reason: "a token is required now; connect again with one" });
		expect(rig.report.clients.closed).toMatchObject({ token_required: 1, token_expired: 0 });
		await waitFor(() => rig.report.clients.open === 1, { ...within, what: "one client" });
		expect(known.closed).toBeNull();
	});

	it("a blocked user and a revoked token: closed and refused with the codes of a shard, and nobody else is", async () => {
		const rig = await start({ tokenHmacSecret: key });
		const { revocations, hub } = rig.gateway;
		const as = (user: string, claims: object = {}) => rig.open({}, `?token=${tokenOf(user, key, claims)}`);
		const refused = async ({ socket }: { readonly socket: WebSocket }): Promise<number> =>
			new Promise((resolve) => {
				socket.on("open", () => resolve(101));
				socket.on("unexpected-response", (_, response) => resolve(response.statusCode!));
			});
		const [ann, bob, old] = [await as("ann").welcome(), await as("bob", { jti: "b1" }).welcome(), await as("bob", { iat: 5 }).welcome()];
		expect(revocations.change({ add: { kind: "user", id: "ann" } })).toBe(1);
		expect(await ann.closing()).toEqual({ code: 3507, reason: "permission denied" });
		expect(await refused(as("ann"))).toBe(403);
		expect(revocations.change({ add: { kind: "token", id: "b1" } })).toBe(1);
		expect(await bob.closing()).toEqual({ code: 3500, reason: "invalid token" });
		expect(await refused(as("bob", { jti: "b1" }))).toBe(401);
		expect(old.closed, "another token of that user").toBeNull();
		expect(revocations.change({ add: { kind: "user_tokens", id: "bob", before: 10 } })).toBe(1);
		expect((await old.closing()).code).toBe(3500);
		expect(await refused(as("bob", { iat: 10 })), "a newer token").toBe(101);
		revocations.change({ remove: { kind: "user", id: "ann" } });
		const [one, other] = [await as("ann").welcome(), await as("ann").welcome()];
		expect(hub.disconnect({ user: "ann", client: String(one.id), code: 3011, reason: "force reconnect" })).toBe(1);
		expect(await one.closing()).toEqual({ code: 3011, reason: "force reconnect" });
		expect(hub.disconnect({ user: "ann", whitelist: [String(other.id)], code: 3503, reason: "force disconnect" })).toBe(0);
		expect(hub.disconnect({ user: "ann", session: "s", code: 3503, reason: "force disconnect" })).toBe(0);
		expect(other.closed).toBeNull();
		const { closed, refused: counts } = rig.report.clients;
		expect([closed.revoked, closed.kicked, counts.forbidden, counts.unauthorized]).toEqual([3, 1, 1, 1]);
		await waitFor(() => rig.report.clients.open === 2, { ...within, what: "those that are closed have gone" });
	});

	it("--user-connection-limit: one connection more of a user gets 429, also after a reload, and an end makes room", async () => {
		const rig = await start({ tokenHmacSecret: key });
		const ann = () => rig.open({}, `?token=${tokenOf("ann", key)}`);
		const refused = async (): Promise<number> => {
			const { socket } = ann();
			return new Promise((resolve) => {
				socket.on("open", () => resolve(101));
				socket.on("unexpected-response", (_, response) => resolve(response.statusCode!));
			});
		};
		const first = await ann().welcome();
		await ann().welcome();
		// Those that are there count.
		rig.gateway.reload({ ...rig.gateway.config, userConnectionLimit: 2 });
		expect(await refused()).toBe(429);
		expect(rig.report.clients.refused.per_user).toBe(1);
		await rig.open({}, `?token=${tokenOf("bob", key)}`).welcome();
		first.socket.close();
		await waitFor(() => rig.report.clients.open === 2, { ...within, what: "the end" });
		await ann().welcome();
		expect(await refused()).toBe(429);
		expect(await rig.metric("shardcast_gateway_clients_refused_total", { reason: "per_user" })).toBe(2);
	});

	it("limits and origins are those of raw clients", async () => {
		const rig = await start({ maxConnections: 1 });
		const refused = async (origin?: string): Promise<number> => {
			const { socket } = rig.open(origin === undefined ? {} : { origin });
			return new Promise((resolve) => socket.on("unexpected-response", (_, response) => resolve(response.statusCode!)));
		};
		expect(await refused("https://evil.example")).toBe(403);
		await rig.client();
		expect(await refused()).toBe(503);
		expect(rig.report.clients.refused.limit).toBe(1);
	});
});
