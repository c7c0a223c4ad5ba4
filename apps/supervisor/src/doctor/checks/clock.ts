import { type Finding, ok, type Subject, warning } from "../finding.ts";
import type { Machine } from "../machine.ts";

const subject: Subject = {
	id: "clock",
	area: "clock",
	why: "tokens expire by the clock, webhooks and announcements are signed with the time, and nodes judge each other's heartbeats",
};

export function clockFinding({ clock }: Machine): Finding {
	const state = clock();
	if (state === null)
		return warning(
			subject,
			"the kernel does not say whether the clock is synchronised",
			"check it on the host: timedatectl, or chronyc tracking",
		);
	if (state.isSynchronised) return ok(subject, `the clock is synchronised, and wrong by ${Math.ceil(state.errorMsMax)} ms at most`);
	return warning(
		subject,
		"the clock is not synchronised",
		"timedatectl set-ntp true, or install and start chrony; in a container, on the host",
	);
}
