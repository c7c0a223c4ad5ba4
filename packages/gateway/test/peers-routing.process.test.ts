import { waitFor } from "@shardcast/testkit";
import { describe, expect, it } from "vitest";
import { FrameClass } from "../src/frames/frame-descriptor.ts";
import { frameBytes } from "./support/fake-backend.ts";
import { HubsRig } from "./support/hubs-rig.ts";
import { leavesNothing } from "./support/leaves-nothing.ts";
import { openBackend } from "./support/link-rig.ts";

leavesNothing();
const within = (what: string) => ({ what, deadlineMs: 20_000 });

describe("a gateway of several processes", () => {
	it("passes frames between clients of one process and a backend of another, both ways", async () => {
		const backend = await openBackend();
		const rig = new HubsRig();
		rig.use([backend], [0]);
		await rig.up();
		const far = rig.client(1);
		const near = rig.client(0);
		const control = await backend.connection("control");
		await waitFor(() => control.messages.filter(({ type }) => type === "client_joined").length === 2, within("both clients"));
		far.send(FrameClass.CONTROL, 1, "to backend");
		await waitFor(() => control.story.includes("to backend"), within("the frame"));
		expect(control.frames.at(-1)).toMatchObject({ clientId: far.id, backendId: 1 });
		control.socket.write(frameBytes(FrameClass.CONTROL, far.id, "to far"));
		control.socket.write(frameBytes(FrameClass.CONTROL, 0, "to all"));
		await waitFor(() => far.texts.length === 2 && near.texts.length === 1, within("answers"));
		expect(far.texts).toEqual(["to far", "to all"]);
		expect(near.texts).toEqual(["to all"]);
		expect(backend.open.length).toBe(2);
		await rig.idle();
	});
});
