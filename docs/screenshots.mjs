// Takes the pictures again: `npm run docs:screenshots` starts a cluster with some traffic, looks at its console for a minute in
// Chromium (CHROMIUM_PATH, /usr/bin/chromium) and writes docs/images/console-*.png; runs a load test for load-report.png; and shows the example's page of a gateway for gateway-page.png.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { setPriority, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePorts, ManagedProcess, RawClient, startCluster } from "@shardcast/testkit";
import { chromium } from "playwright-core";

const usage = "usage: npm run docs:screenshots [-- console|load-report|gateway-page]    writes docs/images/*.png, or some of them";
const kinds = ["console", "load-report", "gateway-page"];
const given = process.argv.slice(2);
if (given.some((word) => !kinds.includes(word))) {
	if (!given.includes("--help")) console.error(`docs:screenshots: unexpected "${given.join(" ")}"`);
	console.log(usage);
	process.exit(given.includes("--help") ? 0 : 2);
}
const wanted = given.length > 0 ? given : kinds;
const executablePath = process.env.CHROMIUM_PATH ?? "/usr/bin/chromium";
if (!existsSync(executablePath)) {
	console.error(`docs:screenshots: there is no Chromium at ${executablePath}; apt-get install chromium, or set CHROMIUM_PATH`);
	process.exit(1);
}

const channels = ["BTC.trade", "ETH.trade", "SOL.trade", "BTC.book", "ETH.book"];
const chartMs = 60_000;
const look = { viewport: { width: 1280, height: 1000 } };
const phone = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };

if (wanted.includes("load-report")) await loadReport();
if (wanted.includes("console")) await consolePictures();
if (wanted.includes("gateway-page")) await gatewayPage();

async function loadReport() {
	const scratch = mkdtempSync(join(tmpdir(), "shardcast-screenshots-"));
	const html = join(scratch, "report.html");
	const load = ["--ramp", "10-400:12s,400:12s,400-50:6s", "--ramp-rate", "10-100:20s,100:10s", "--senders", "4"];
	const outputs = ["--html", html, "--fail-if", "p99>250ms", "--fail-if", "loss>0"];
	const program = join(import.meta.dirname, "../loadtest/dist/main.js");
	spawnSync(process.execPath, [program, "--start", "--shards 2", ...load, ...outputs], { stdio: "inherit" });
	const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
	try {
		const page = await (await browser.newContext({ viewport: { width: 1000, height: 1150 }, colorScheme: "light" })).newPage();
		await page.goto(`file://${html}`);
		await page.locator("canvas").nth(3).waitFor();
		const path = join(import.meta.dirname, "images/load-report.png");
		await page.screenshot({ path });
		console.log(`wrote ${path}`);
	} finally {
		await browser.close();
		rmSync(scratch, { recursive: true });
	}
}

async function consolePictures() {
	const cluster = await startCluster({ shards: 2 });
	// A browser that draws without a graphics card takes the cores that the shards are pinned to: pictures are to show the cluster's
	// latency and not that. What this process starts from here on gets the CPU only when the cluster does not need it.
	setPriority(19);
	const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
	const clients = await Promise.all(
		Array.from({ length: 40 }, (_, index) => RawClient.open(`${cluster.url}/ws?channels=${channels[index % channels.length]}`)),
	);
	let tick = 0;
	const traffic = setInterval(() => {
		tick++;
		// More and fewer of them, so that the charts have something to show.
		const messages = 2 + Math.round(1.5 * Math.sin(tick / 60));
		for (let message = 0; message < messages; message++) {
			const at = (tick + message * 3) % channels.length;
			const [symbol, kind] = channels[at].split(".");
			clients[at].send(JSON.stringify({ symbol, kind, price: 64_000 + (tick % 700) }));
		}
	}, 50);

	async function open(colorScheme, options) {
		const page = await (await browser.newContext({ ...options, colorScheme })).newPage();
		await page.goto(`${cluster.httpUrl}/console`);
		await page.locator('#channel-rows button[data-channel="BTC.trade"]').click({ timeout: 15_000 });
		return page;
	}

	try {
		const pages = { light: await open("light", look), dark: await open("dark", look), phone: await open("dark", phone) };
		await sleep(chartMs);
		for (const [name, page] of Object.entries(pages)) {
			const path = join(import.meta.dirname, `images/console-${name}.png`);
			await page.screenshot({ path, fullPage: true });
			console.log(`wrote ${path}`);
		}
	} finally {
		clearInterval(traffic);
		await browser.close();
		await Promise.all(clients.map((client) => client.close()));
		await cluster.stop();
	}
}

/** A slow client, while a file is on its way. */
async function gatewayPage() {
	const web = await freePorts();
	const demo = await ManagedProcess.start(join(import.meta.dirname, "../examples/gateway/demo.mjs"), ["--port", "0", "--web", `${web}`]);
	const [, port] = await demo.waitForOutput(/listens on port (\d+)/, 10_000);
	const supervisor = join(import.meta.dirname, "../apps/supervisor/dist/main.js");
	const gatewayPort = await freePorts();
	const gateway = await ManagedProcess.start(supervisor, ["gateway", `127.0.0.1:${gatewayPort}`, `127.0.0.1:${port}`]);
	await gateway.waitForOutput(/a backend is connected/, 10_000);
	const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
	try {
		const page = await (await browser.newContext({ viewport: { width: 1100, height: 720 }, colorScheme: "light" })).newPage();
		await page.goto(`http://127.0.0.1:${web}/?gateway=ws://127.0.0.1:${gatewayPort}`);
		await page.locator("#slow").check();
		await sleep(3000);
		await page.getByRole("button", { name: /^Get/ }).click();
		await sleep(12_000);
		const path = join(import.meta.dirname, "images/gateway-page.png");
		await page.screenshot({ path });
		console.log(`wrote ${path}`);
	} finally {
		await browser.close();
		await gateway.stop();
		await demo.stop();
	}
}
