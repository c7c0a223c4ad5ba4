import { existsSync } from "node:fs";
import { join } from "node:path";
import { freePorts, ManagedProcess, scaledDeadline, waitFor } from "@shardcast/testkit";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

const demo = join(import.meta.dirname, "../../../../examples/gateway/demo.mjs");
const main = join(import.meta.dirname, "../../dist/main.js");
const browserPath = process.env.CHROMIUM_PATH ?? "/usr/bin/chromium";
const missing = !existsSync(browserPath);
if (missing) {
	const message = `SKIPPED: the page of the gateway is not tested: apt-get install chromium, or set CHROMIUM_PATH (${browserPath})`;
	if (process.env.CI === "true") throw new Error(message);
	console.warn(message);
}

describe.skipIf(missing)("examples/gateway/page.html with demo.mjs and a gateway", () => {
	let browser: Browser;
	let backend: ManagedProcess;
	let gateway: ManagedProcess;
	let backendPort: number;
	let gatewayPort: number;
	let address: string;
	let contexts: BrowserContext[] = [];
	const problems: string[] = [];

	beforeAll(async () => {
		[backendPort, gatewayPort] = [await freePorts(), await freePorts()];
		await startBackend();
		await startGateway();
		browser = await chromium.launch({
			executablePath: browserPath,
			args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"],
		});
	});
	afterEach(async () => {
		for (const context of contexts) await context.close();
		contexts = [];
		expect(problems.splice(0)).toEqual([]);
	});
	afterAll(async () => {
		await browser?.close();
		await gateway?.stop();
		await backend?.stop();
	});

	async function startBackend(): Promise<void> {
		backend = await ManagedProcess.start(demo, ["--port", String(backendPort), "--web", "0"]);
		[, address] = (await backend.waitForOutput(/its page is at (\S+)/, 10_000)) as unknown as [string, string];
	}
	async function startGateway(): Promise<void> {
		gateway = await ManagedProcess.start(main, [
			...["gateway", `127.0.0.1:${gatewayPort}`, `127.0.0.1:${backendPort}`],
			// The test stops and starts the backend.
			...["--backend-reconnect-min", "100ms", "--backend-reconnect-max", "200ms"],
		]);
		await gateway.waitForOutput(/shardcast gateway, pid/, 20_000);
	}

	async function open(bytes = 4 << 20): Promise<Page> {
		const context = await browser.newContext({ viewport: { width: 1000, height: 700 } });
		contexts.push(context);
		const page = await context.newPage();
		page.setDefaultTimeout(scaledDeadline(60_000));
		page.on("pageerror", (error) => problems.push(error.message));
		await page.goto(`${address}/?gateway=ws://127.0.0.1:${gatewayPort}&bytes=${bytes}`);
		await says(page, "state", /^connected$/);
		return page;
	}
	const says = (page: Page, id: string, text: RegExp) => page.locator(`#${id}`, { hasText: text }).waitFor();
	const number = async (page: Page, id: string): Promise<number> => Number.parseFloat(await page.locator(`#${id}`).innerText());
	const until = (what: string, condition: () => Promise<boolean>) => waitFor(condition, { deadlineMs: 60_000, what });
	async function shows(page: Page, frames: number): Promise<void> {
		const before = await number(page, "shown");
		await until(`${frames} more frames`, async () => (await number(page, "shown")) >= before + frames);
	}
	/** Red, green, blue and opacity. */
	const pixel = (page: Page, x: number, y: number): Promise<number[]> =>
		page.evaluate(`[...document.querySelector("#video").getContext("2d").getImageData(${x}, ${y}, 1, 1).data]`);

	it("shows the video, and its latency", async () => {
		const page = await open();
		await shows(page, 25);
		// The sun, where no ball reaches, and the sky.
		expect(await pixel(page, 240, 30)).toEqual([255, 219, 0, 255]);
		expect(await pixel(page, 10, 5)).toEqual([0, 0, 85, 255]);
		await until("a latency below 100 ms", async () => (await number(page, "latency95")) < 100);
		expect(await number(page, "latency")).toBeGreaterThanOrEqual(0);
		expect(await number(page, "round")).toBeGreaterThan(0);
		expect(await page.locator("#graph + small").innerText()).toContain("Full height: 100 ms");
		// Both clocks are the same here, to a few milliseconds for how each program reads it.
		const [, ahead, within] = /^(\S+) ms ± (\S+)$/.exec(await page.locator("#ahead").innerText())!;
		expect(Math.abs(Number(ahead))).toBeLessThanOrEqual(Number(within) + 5);
	});

	it("skips frames for a slow client, whose latency does not grow, and for no other", { tags: ["long"] }, async () => {
		const [slow, fast] = [await open(), await open()];
		await shows(slow, 5);
		await slow.check("#slow");
		await shows(slow, 150);
		expect(await number(slow, "skipped")).toBeGreaterThan(10);
		// It would be more than a second behind by now, and further with each frame.
		await until("a bounded latency", async () => (await number(slow, "latency95")) < 1000);
		await until("the other page to be faster", async () => (await number(fast, "latency95")) < (await number(slow, "latency95")));
	});

	it("gets a file beside the video, and their hashes are equal", async () => {
		const page = await open();
		await page.click("#get");
		await says(page, "file", /^complete, hashes are equal$/);
		expect(await page.locator("#hash-here").innerText()).toMatch(/^[\da-f]{64}$/);
		expect(await page.locator("#hash-there").innerText()).toBe(await page.locator("#hash-here").innerText());
		expect(await page.locator("#received").innerText()).toBe("4.0 MiB");
		await shows(page, 5);
	});

	it("gets a file as a slow client, at its pace, while another page is as fast as before", { tags: ["long"] }, async () => {
		const [slow, fast] = [await open(), await open()];
		await slow.check("#slow");
		await slow.click("#get");
		await until("a part of the file", async () => (await number(slow, "received")) >= 1);
		await fast.click("#get");
		await says(fast, "file", /^complete, hashes are equal$/);
		expect(await number(slow, "received")).toBeLessThan(4);
		await shows(fast, 5);
		await says(slow, "file", /^complete, hashes are equal$/);
		// No more was on its way than the backend may have unacknowledged. The hash, which comes last, is one of these frames.
		expect(await number(slow, "waited")).toBeLessThanOrEqual(32);
	});

	it("goes on with a file when gateway or backend have been restarted", { tags: ["long"] }, async () => {
		const page = await open();
		await page.check("#slow");
		await page.click("#get");
		await until("a part of the file", async () => (await number(page, "received")) >= 1);
		await gateway.stop("SIGKILL");
		await startGateway();
		await until("it is asked for again", async () => (await number(page, "requests")) === 2);
		const before = await number(page, "received");
		expect(before).toBeGreaterThanOrEqual(1);
		await until("more of it", async () => (await number(page, "received")) > before);
		await backend.stop("SIGKILL");
		await says(page, "backends", /down/);
		await startBackend();
		await page.uncheck("#slow");
		await says(page, "file", /^complete, hashes are equal$/);
		expect(await number(page, "requests")).toBe(3);
		expect(await number(page, "waited")).toBeLessThanOrEqual(32);
		await shows(page, 5);
	});
});
