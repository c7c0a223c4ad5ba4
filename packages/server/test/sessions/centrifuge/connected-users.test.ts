import { describe, expect, it } from "vitest";
import type { CentrifugeSession } from "../../../src/sessions/centrifuge/centrifuge-session.ts";
import { ConnectedUsers } from "../../../src/sessions/centrifuge/connected-users.ts";

const session = (user: string) => ({ user }) as CentrifugeSession;

describe("the connected clients by user", () => {
	it("are found in the order in which they connected, and nothing is kept once they have disconnected", () => {
		const connected = new ConnectedUsers<CentrifugeSession>();
		const [one, two, three, other] = [session("ann"), session("ann"), session("ann"), session("bob")];
		for (const each of [one, two, three, other]) connected.add(each);
		expect(connected.of("ann")).toEqual([one, two, three]);
		expect(connected.of("bob")).toEqual([other]);
		connected.remove(two);
		connected.remove(two);
		connected.remove(one);
		expect(connected.of("ann"), "one is left").toEqual([three]);
		connected.remove(one);
		expect(connected.of("ann"), "another connection that has gone").toEqual([three]);
		connected.remove(three);
		connected.remove(other);
		expect([connected.of("ann"), connected.of("bob"), connected.count]).toEqual([[], [], 0]);
	});

	it("exclude anonymous clients, and count one that is added twice once", () => {
		const connected = new ConnectedUsers<CentrifugeSession>();
		const [ann, anonymous] = [session("ann"), session("")];
		for (const each of [ann, ann, anonymous]) connected.add(each);
		expect([connected.of("ann"), connected.of(""), connected.count]).toEqual([[ann], [], 1]);
		connected.remove(anonymous);
	});
});
