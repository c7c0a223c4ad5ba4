import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { ConnectionRoom, connectionsMax } from "../../src/admin/socket/connection-room.ts";

/** A full room. `closed` has the numbers of those that were closed for want of room. */
function fullRoom() {
	const closed: number[] = [];
	const numbers = new Map<unknown, number>();
	const room = new ConnectionRoom((socket) => {
		expect(socket.destroyed, "told before it is closed").toBe(false);
		closed.push(numbers.get(socket)!);
	});
	const open = (): Socket => {
		const emitter = new EventEmitter();
		const socket = Object.assign(emitter, {
			destroyed: false,
			destroy: () => {
				socket.destroyed = true;
				emitter.emit("close");
			},
		});
		numbers.set(socket, numbers.size);
		room.opened(socket as unknown as Socket);
		return socket as unknown as Socket;
	};
	const all = Array.from({ length: connectionsMax }, open);
	return { room, open, all, closed };
}

describe("the connections of the admin socket", () => {
	it("the oldest without a whole request makes room for a new one", () => {
		const { room, open, all, closed } = fullRoom();
		room.began(all[0]!, { complete: true });
		const arriving = { complete: false };
		room.began(all[1]!, arriving);
		open();
		expect(closed).toEqual([1]);
		open();
		expect(closed).toEqual([1, 2]);
		expect(all.map(({ destroyed }) => destroyed).filter(Boolean)).toHaveLength(2);
	});

	it("a new one is closed when all are being answered, and has room when one of them is gone", () => {
		const { room, open, all, closed } = fullRoom();
		for (const socket of all) room.began(socket, { complete: true });
		expect(open().destroyed).toBe(true);
		expect(closed).toEqual([connectionsMax]);
		all[7]!.destroy();
		expect(open().destroyed).toBe(false);
		expect(closed).toHaveLength(1);
	});

	it("one that was answered waits behind those that were there before, unless its next request has come", () => {
		const { room, open, all, closed } = fullRoom();
		const [request, next] = [{ complete: true }, { complete: true }];
		room.began(all[0]!, request);
		room.answered(all[0]!, request);
		room.began(all[1]!, request);
		room.began(all[1]!, next);
		room.answered(all[1]!, request);
		for (let number = 0; number < connectionsMax - 1; number++) open();
		expect(closed.slice(0, 2), "after the two").toEqual([2, 3]);
		expect(closed.at(-1), "the one that was answered").toBe(0);
		expect(all[1]!.destroyed, "in progress").toBe(false);
	});

	it("an event of one that was closed does not bring it back", () => {
		const { room, open, all, closed } = fullRoom();
		const request = { complete: false };
		room.began(all[0]!, request);
		open();
		room.answered(all[0]!, request);
		room.began(all[0]!, request);
		open();
		expect(closed).toEqual([0, 1]);
	});
});
