export { type AvailableCpus, availableCpus } from "./cpus/available-cpus.ts";
export { formatCpuList, parseCpuList } from "./cpus/cpu-list.ts";
export { Deadline, DeadlineError, withDeadline } from "./deadline.ts";
export { onHangUp } from "./hang-up.ts";
export { HeartbeatTimer } from "./heartbeat-timer.ts";
export { ProcessMonitor, type ProcessSample } from "./monitor.ts";
export { clientsThatFit, openFiles, openFilesLimit, reservedDescriptors } from "./open-files-limit.ts";
export { OutputClosed, print, surviveClosedOutput } from "./output.ts";
export { StartupError } from "./startup-error.ts";
