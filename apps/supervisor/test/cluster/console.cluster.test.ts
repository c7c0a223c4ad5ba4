import { existsSync } from "node:fs";
import { type Cluster, httpRequest, LibraryClient, postJson, RawClient, scaledDeadline, startCluster, waitFor } from "@shardcast/testkit";
import { Centrifuge } from "centrifuge";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import WebSocket from "ws";

const browserPath = process.env.CHROMIUM_PATH ?? "/usr/bin/chromium";
const missing = !existsSync(browserPath);
if (missing) {
	const message = `SKIPPED: the console's browser tests need Chromium at ${browserPath} (apt-get install chromium, or set CHROMIUM_PATH)`;
	if (process.env.CI === "true") throw new Error(message);
	console.warn(message);
}

/** For clients of the Centrifuge protocol. */
const namespaces = JSON.stringify([
	{
		name: "chat",
		history_size: 10,
		history_ttl: "1h",
		presence: true,
		allow_subscribe_for_client: true,
		allow_subscribe_for_anonymous: true,
	},
]);

const adminKey = "correct-horse-battery";

async function openConsole(
	browser: Browser,
	cluster: Cluster,
	options: BrowserContextOptions = {},
): Promise<{ page: Page; problems: string[] }> {
	const context = await browser.newContext({ viewport: { width: 1280, height: 1000 }, ...options });
	const page = await context.newPage();
	const problems: string[] = [];
	page.on("console", (message) => {
		if (message.type() === "error" || message.type() === "warning") problems.push(message.text());
	});
	page.on("pageerror", (error) => problems.push(error.message));
	page.on("requestfailed", (request) => problems.push(`${request.url()} failed`));
	page.on("request", (request) => {
		if (new URL(request.url()).hostname !== "127.0.0.1") problems.push(`${request.url()} is not ours`);
	});
	await page.goto(`${cluster.httpUrl}/console`);
	await page
		.locator("#shard-rows tr")
		.first()
		.waitFor({ timeout: scaledDeadline(15_000) });
	return { page, problems };
}

const number = async (page: Page, selector: string): Promise<number> =>
	Number((await page.locator(selector).innerText()).replace(/[^\d.]/g, ""));

describe.skipIf(missing)("the console in a real browser", () => {
	let cluster: Cluster;
	let browser: Browser;
	const clients: RawClient[] = [];
	beforeAll(async () => {
		cluster = await startCluster({ shards: 2, flags: ["--client-insecure", "--channel-namespaces", namespaces, "--admin-key", adminKey] });
		browser = await chromium.launch({
			executablePath: browserPath,
			args: [
				"--no-sandbox",
				"--disable-gpu",
				"--disable-quic",
				"--no-first-run",
				"--disable-background-networking",
				"--disable-component-update",
				"--disable-sync",
			],
		});
		clients.push(
			...(await Promise.all(
				["BTC.trade", "BTC.trade", "ETH.trade", "BTC.book", ""].map((channel) =>
					RawClient.open(`${cluster.url}/ws${channel === "" ? "" : `?channels=${channel}`}`),
				),
			)),
		);
	});
	afterAll(async () => {
		await browser?.close();
		await Promise.all(clients.map((client) => client.close()));
		await cluster.stop();
	});

	it("shows the same numbers as /metrics and /health", async () => {
		const { page, problems } = await openConsole(browser, cluster);
		for (let message = 0; message < 50; message++) clients[message % 3]!.send(`{"n":${message}}`);
		await waitFor(async () => (await page.locator("#tile-messages-sub").innerText()).startsWith("50 "), {
			deadlineMs: 10_000,
			what: "50 messages on the page",
		});
		let metrics = "";
		const sum = (name: string): number =>
			metrics
				.split("\n")
				.filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
				.reduce((total, line) => total + Number(line.split(" ").at(-1)), 0);
		// The page may be a sample behind, and a process that is late is missing in /metrics.
		const agree = async () => {
			metrics = (await httpRequest(`${cluster.httpUrl}/metrics`)).body;
			expect(await number(page, "#tile-connections")).toBe(sum("shardcast_connections"));
			expect(sum("websocket_active_connections")).toBe(clients.length);
			expect(await number(page, "#tile-deliveries-sub")).toBe(sum("shardcast_deliveries_total"));
			return true;
		};
		await waitFor(agree, { deadlineMs: 10_000, what: "the same numbers on the page and in /metrics" });
		expect(await page.locator("#shard-rows tr").count()).toBe(2);
		await waitFor(async () => (await page.locator("#status").innerText()) === "healthy", { deadlineMs: 10_000, what: "a healthy cluster" });
		expect(await page.locator("#facts").innerText()).toContain("open mode: everyone may publish");
		expect(await page.locator("#events").innerText()).toMatch(/shard 0 serves/);
		expect(problems).toEqual([]);
		await page.context().close();
	});

	it("takes orders with the admin key, asks first, and keeps the key nowhere", async () => {
		const { page, problems } = await openConsole(browser, cluster);
		const said = (text: string) => page.locator("#admin-log", { hasText: text }).waitFor({ timeout: scaledDeadline(10_000) });
		const unlock = async (key: string) => {
			await page.locator("#admin-key").fill(key);
			await page.locator("#admin-unlock button").click();
		};
		await unlock("wrong-horse-battery");
		await said("this is not the key of --admin-key");
		// The browser itself tells of a 401.
		problems.length = 0;
		await unlock(adminKey);
		const kick = page.locator('form[data-verb="kick"]');
		await kick.locator('input[name="user"]').fill("nobody");
		await kick.locator("button").click();
		await page.locator("#admin-confirm-command", { hasText: "kick nobody" }).waitFor();
		await page.locator('#admin-confirm button[value="no"]').click();
		await kick.locator("button").click();
		await page.locator("#admin-confirm-yes").click();
		await said('closed 0 connections of user "nobody"');
		await cluster.process.waitForOutput(/runs \\"kick nobody/, 10_000);
		expect(cluster.log().match(/runs \\"kick nobody/g)).toHaveLength(1);
		await page.locator('form[data-verb="status"] button').click();
		await said("supervisor");
		expect(await page.evaluate("JSON.stringify([localStorage, sessionStorage, document.cookie, location.href])")).not.toContain(adminKey);
		expect(await page.content()).not.toContain(adminKey);
		await page.locator("#admin-lock").click();
		expect(await page.locator("#admin-verbs form").count()).toBe(0);
		expect(problems).toEqual([]);
		await page.context().close();
	});

	it("the try-it panel sends and receives, through two shards and over HTTP", { tags: ["long"] }, async () => {
		const { page, problems } = await openConsole(browser, cluster);
		const { page: other } = await openConsole(browser, cluster);
		const connect = async (where: Page, shard: number): Promise<void> => {
			await where.selectOption("#try-target", { index: shard + 1 });
			await where.click("#try-connect");
			await where.locator("#frames", { hasText: "open" }).waitFor();
		};
		await connect(page, 0);
		await connect(other, 1);
		await page.fill("#try-message", "across the bus");
		await page.click("#try-send");
		await other.locator("#frames li.in", { hasText: "across the bus" }).waitFor();
		expect(await page.locator("#frames li.in", { hasText: "across the bus" }).count()).toBe(0);
		await other.fill("#try-http-data", '{"over": "http"}');
		await other.click("#try-publish");
		await page.locator("#frames li.in", { hasText: '{"over": "http"}' }).waitFor();
		await other.locator("#frames", { hasText: "answered 200" }).waitFor();
		await page.click("#try-connect");
		await page.locator("#frames", { hasText: "closed, 1000" }).waitFor();
		expect(problems).toEqual([]);
		await page.context().close();
		await other.context().close();
	});

	it("lists busy channels with their subscribers on all shards, and tails the one that is chosen, by keyboard alone", {
		tags: ["long"],
	}, async () => {
		const { page, problems } = await openConsole(browser, cluster);
		let going = true;
		const sending = (async () => {
			for (let tick = 0; going; tick++) {
				clients[0]!.send(JSON.stringify({ symbol: "BTC", price: 64_000 + tick }));
				await new Promise((resolve) => setTimeout(resolve, 50));
			}
		})();
		try {
			const row = page.locator("#channel-rows tr", { hasText: "BTC.trade" });
			await row.waitFor({ timeout: scaledDeadline(10_000) });
			// Two that listen to it and one that hears everything.
			await waitFor(async () => (await row.locator("td").nth(1).innerText()) === "3", { deadlineMs: 10_000, what: "3 subscribers" });
			await row.locator("button").focus();
			await page.keyboard.press("Enter");
			await page
				.locator("#tail li", { hasText: '"symbol":"BTC"' })
				.first()
				.waitFor({ timeout: scaledDeadline(10_000) });
			expect(await row.locator("button").getAttribute("aria-pressed")).toBe("true");
			// Two snapshots later the keyboard is still where it was.
			await waitFor(async () => (await page.locator("#tail li").count()) > 20, { deadlineMs: 10_000, what: "more of the tail" });
			expect(await page.evaluate("document.activeElement?.dataset.channel")).toBe("BTC.trade");
			await page.click("#theme");
			expect(await page.evaluate("document.documentElement.dataset.theme")).toBe("dark");
			expect(problems).toEqual([]);
		} finally {
			going = false;
			await sending;
			await page.context().close();
		}
	});

	it("shows channels with their subscribers on all shards, who is present, and their history; finds one by a part of its name", async () => {
		const { page, problems } = await openConsole(browser, cluster);
		const subscribers = Array.from({ length: 4 }, () => new Centrifuge(`${cluster.url}/connection/websocket`, { websocket: WebSocket }));
		try {
			for (const client of subscribers) {
				const subscription = client.newSubscription("chat:quiet");
				subscription.subscribe();
				client.connect();
				await subscription.ready(10_000);
			}
			for (let message = 0; message < 12; message++)
				await postJson(`${cluster.httpUrl}/api/publish`, { channel: "chat:quiet", data: message });
			await page.fill("#channel-search", "quie");
			const row = page.locator("#channel-rows tr", { hasText: "chat:quiet" });
			const cells = () => row.locator("td").allInnerTexts();
			// Five: a raw client hears everything.
			const expected = ["chat:quiet", "5", "4", "10 kept, at 12"];
			await waitFor(async () => expect((await cells()).filter((_, index) => index !== 3).slice(0, 4)).toEqual(expected), {
				deadlineMs: 10_000,
				what: "the channel's row",
			});
			expect(await page.locator("#channel-rows tr").count()).toBe(1);
			await page.locator("#channel-totals", { hasText: "4 subscriptions" }).waitFor({ timeout: scaledDeadline(10_000) });
			await page.fill("#channel-search", "no such channel");
			await page.locator("#channel-rows", { hasText: "No channel with this in its name." }).waitFor({ timeout: scaledDeadline(10_000) });
			expect(problems).toEqual([]);
		} finally {
			for (const client of subscribers) client.disconnect();
			await page.context().close();
		}
	});

	it("follows the system's theme and fits a phone", { tags: ["long"] }, async () => {
		const { page, problems } = await openConsole(browser, cluster, {
			viewport: { width: 390, height: 844 },
			colorScheme: "dark",
			isMobile: true,
			hasTouch: true,
		});
		expect(await page.evaluate("document.documentElement.dataset.theme")).toBe("dark");
		expect(await page.evaluate<number>("document.documentElement.scrollWidth")).toBeLessThanOrEqual(390);
		expect(problems).toEqual([]);
		await page.context().close();
	});

	it("says that its feed is gone and takes it up again when a shard is restarted", { tags: ["long"] }, async () => {
		const { page } = await openConsole(browser, cluster);
		await cluster.kill9(0);
		await cluster.kill9(1);
		await waitFor(async () => (await page.locator("#events").innerText()).includes("shard 1 died"), {
			deadlineMs: 20_000,
			what: "the death on the page",
		});
		await waitFor(async () => (await page.locator("#status").innerText()) === "healthy", {
			deadlineMs: 20_000,
			what: "a healthy cluster on the page",
		});
		await waitFor(async () => (await page.locator('#shard-rows tr[data-shard="1"] td').last().innerText()) === "1", {
			deadlineMs: 20_000,
			what: "its restart on the page",
		});
		await page.context().close();
	});
});

describe("who may see the console", () => {
	it("with a token, only a client that has it; a page or name of another site never without one", async () => {
		const upgrade = (origin: string, host: string) => ({ origin, host });
		const open = await startCluster({ shards: 1 });
		try {
			const authority = new URL(open.httpUrl).host;
			const feed = `${open.url}/console/feed`;
			const own = await LibraryClient.open(feed, upgrade(open.httpUrl, authority));
			expect(JSON.parse((await own.waitForMessages(1))[0]!.bytes.toString())).toMatchObject({ type: "snapshot" });
			await own.close();
			await expect(LibraryClient.open(feed, upgrade("http://evil.example", authority))).rejects.toThrow(/403/);
			await expect(LibraryClient.open(feed, upgrade("http://evil.example", "evil.example"))).rejects.toThrow(/403/);
			// Names that look like this machine and that anybody can make point at it.
			for (const name of ["127.evil.example", "127.0.0.1.evil.example"])
				await expect(LibraryClient.open(feed, upgrade(`http://${name}`, name)), name).rejects.toThrow(/403/);
			await expect(LibraryClient.open(feed, upgrade("http://localhost:1", authority)), "another page of this machine").rejects.toThrow(
				/403/,
			);
		} finally {
			await open.stop();
		}
		const guarded = await startCluster({ shards: 1, env: { SHARDCAST_CONSOLE_TOKEN: "correct-horse" } });
		try {
			expect((await httpRequest(`${guarded.httpUrl}/console`)).status).toBe(403);
			expect((await httpRequest(`${guarded.httpUrl}/console?token=correct-horse`)).status).toBe(200);
			await expect(RawClient.open(`${guarded.url}/console/feed`)).rejects.toThrow(/403/);
			await expect(RawClient.open(`${guarded.url}/console/feed?token=wrong-horse`)).rejects.toThrow(/403/);
			await (await RawClient.open(`${guarded.url}/console/feed?token=correct-horse`)).close();
			expect(guarded.log()).not.toContain("correct-horse");
		} finally {
			await guarded.stop();
		}
	});
});
