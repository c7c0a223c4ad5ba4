import { join } from "node:path";
import { freePorts, ManagedProcess, waitFor } from "@shardcast/testkit";
import { describe, expect, it } from "vitest";
import { gatewayRigs } from "./support/gateway-rig.ts";

const [control, file] = [1, 4];
const { opened, start } = gatewayRigs();
const within = { deadlineMs: 10_000 };

async function backend(port: number): Promise<{ readonly program: ManagedProcess; readonly port: number }> {
	const program = await ManagedProcess.start(join(import.meta.dirname, "support/echo-backend.mjs"), [String(port)], { env: {} });
	opened.push(program);
	const [, given] = await program.waitForOutput(/listening on (\d+)/, 10_000);
	return { program, port: Number(given) };
}

describe("a backend that is killed", () => {
	it("while clients send: they stay, the other backend loses nothing, none is doubled, and all goes on when it is back", async () => {
		// Its own port, which nobody takes while the backend is away.
		const [doomed, lasting] = [await backend(await freePorts()), await backend(0)];
		const rig = await start({ gatewayBackends: [doomed, lasting].map(({ port }) => `127.0.0.1:${port}`) }, []);
		await rig.up(2);
		const clients = [await rig.client(), await rig.client()];
		const sent = { count: 0 };
		const send = (): void => {
			const content = Buffer.alloc(200);
			content.writeUInt32BE(sent.count++);
			for (const client of clients) for (const to of [1, 2]) for (const frameClass of [control, file]) client.send(frameClass, to, content);
		};
		const seen = (index: number, from: number, frameClass: number): number[] =>
			clients[index]!.frames.filter((frame) => frame.backendId === from && frame.frameClass === frameClass).map(({ content }) =>
				content.readUInt32BE(0),
			);
		const streams = (from: number) => [0, 1].flatMap((index) => [control, file].map((frameClass) => seen(index, from, frameClass)));
		const answered = (from: number) =>
			waitFor(() => streams(from).every((each) => each.at(-1) === sent.count - 1), { ...within, what: "answers" });
		for (let round = 0; round < 20; round++) send();
		await answered(1);
		for (let round = 0; round < 8; round++) send();
		process.kill(doomed.program.pid, "SIGKILL");
		for (let round = 0; round < 8; round++) send();
		await rig.up(1);
		send();
		await answered(2);
		await waitFor(() => clients.every(({ told }) => told.some(({ type, up }) => type === "backend" && up === false)), {
			...within,
			what: "down",
		});
		await waitFor(() => clients.every(({ told }) => told.filter(({ reason }) => reason === "backend_down").length >= 2), {
			...within,
			what: "refusals",
		});
		await backend(doomed.port);
		await rig.up(2);
		send();
		await answered(1);
		await answered(2);
		for (const stream of streams(2)) expect(stream).toEqual(stream.map((_, index) => index));
		for (const stream of streams(2)) expect(stream.length).toBe(sent.count);
		for (const stream of streams(1)) expect(stream).toEqual([...new Set(stream)].sort((one, other) => one - other));
		expect(clients.map(({ closed }) => closed)).toEqual([null, null]);
		expect(rig.report.backends[0]!.ends.lost).toBeGreaterThan(0);
	});
});
