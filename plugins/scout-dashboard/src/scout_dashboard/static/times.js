// Converts times to the reader's time zone. The server writes UTC in the same form, so the layout does not move.

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const two = (number) => String(number).padStart(2, "0");

export const clock = (date) => `${two(date.getHours())}:${two(date.getMinutes())}`;
export const day = (date) => `${two(date.getDate())} ${MONTHS[date.getMonth()]}`;
export const stamp = (date) => `${day(date)} ${clock(date)}:${two(date.getSeconds())}`;

const FORMS = { clock, stamp, minute: (date) => `${day(date)} ${clock(date)}` };

export function localise(root) {
  for (const element of root.querySelectorAll("time[data-format]")) {
    const date = new Date(element.dateTime);
    element.textContent = FORMS[element.dataset.format](date);
  }
}
