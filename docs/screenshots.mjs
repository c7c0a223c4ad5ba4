// Takes the pictures of the console again: `npm run docs:screenshots` starts a cluster with some traffic, looks at it for half a
// minute in Chromium (CHROMIUM_PATH, /usr/bin/chromium) and writes docs/images/console-*.png.
import { existsSync } from "node:fs";
import { setPriority } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { RawClient, startCluster } from "@shardcast/testkit";
import { chromium } from "playwright-core";

const usage = "usage: npm run docs:screenshots    writes docs/images/console-*.png";
const given = process.argv.slice(2);
if (given.length > 0) {
	if (!given.includes("--help")) console.error(`docs:screenshots: unexpected "${given.join(" ")}"`);
	console.log(usage);
	process.exit(given.includes("--help") ? 0 : 2);
}
const executablePath = process.env.CHROMIUM_PATH ?? "/usr/bin/chromium";
if (!existsSync(executablePath)) {
	console.error(`docs:screenshots: there is no Chromium at ${executablePath}; apt-get install chromium, or set CHROMIUM_PATH`);
	process.exit(1);
}

const channels = ["BTC.trade", "ETH.trade", "SOL.trade", "BTC.book", "ETH.book"];
const chartMs = 60_000;
const look = { viewport: { width: 1280, height: 1000 } };
const phone = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };

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
