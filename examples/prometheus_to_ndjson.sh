#!/bin/sh
# Turns the Prometheus text format into one JSON metric a line. Needs an awk, any awk.
#
#     curl -s http://host:9100/metrics | sh examples/prometheus_to_ndjson.sh | tinyobs-batch URL
#
# - The type comes from the `# TYPE` lines. What histograms and summaries consist of (_bucket, _sum
#   and _count) counts up and so is a counter: a "histogram" of TinyObs is a single observation.
#   Quantiles and what has no type are gauges.
# - NaN and the infinities are left out, as JSON has no such numbers: one line on stderr counts them.
# - A timestamp in milliseconds becomes RFC 3339; without one it is the time at which the line is read.

LC_ALL=C exec awk '
# Days to a date of the civil calendar, whose years begin in March here: leap days come last.
function rfc3339(ms,    s, days, era, year, month, day) {
  s = floor(ms / 1000)
  days = floor(s / 86400)
  era = floor((days + 719468) / 146097)
  day = days + 719468 - era * 146097
  year = int((day - int(day / 1460) + int(day / 36524) - int(day / 146096)) / 365)
  day -= 365 * year + int(year / 4) - int(year / 100)
  month = int((5 * day + 2) / 153)
  day -= int((153 * month + 2) / 5) - 1
  year += 400 * era + (month > 9)
  month += month > 9 ? -9 : 3
  ms -= s * 1000
  s -= days * 86400
  return sprintf("%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", year, month, day,
    int(s / 3600), int(s / 60) % 60, s % 60, ms)
}

function floor(x) { return int(x) - (x < int(x)) }

# "" if it is no finite decimal number. The digits stay as they are: awk would round them.
function number(text) {
  sub(/^\+/, "", text)
  if (text !~ /^-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$/) return ""
  sub(/^-0*/, "-", text) || sub(/^0*/, "", text)
  if (text !~ /^-?[0-9]/) sub(/^-?/, "&0", text)
  if (text ~ /\.([eE]|$)/) sub(/\./, "", text)
  return text
}

# The escapes of label values (\\, \" and \n) are those of JSON; any other backslash is itself.
function string(text,    out) {
  while (match(text, /\\/)) {
    out = out substr(text, 1, RSTART - 1)
    if (substr(text, RSTART + 1, 1) ~ /["\\n]/) {
      out = out substr(text, RSTART, 2)
      text = substr(text, RSTART + 2)
    } else {
      out = out "\\\\"
      text = substr(text, RSTART + 1)
    }
  }
  out = out text
  gsub(/\t/, "\\t", out)
  return out
}

function type_of(name,    base) {
  if (name in types) return types[name] == "counter" ? "counter" : "gauge"
  base = name
  if (sub(/_(bucket|sum|count)$/, "", base) && types[base] ~ /^(histogram|summary)$/) return "counter"
  return "gauge"
}

{ sub(/\r$/, "") }
/^[ \t]*#[ \t]*TYPE[ \t]/ { sub(/^[ \t]*#/, "# "); types[$3] = $4; next }
/^[ \t]*(#|$)/ { next }

{
  line = $0
  sub(/^[ \t]+/, "", line)
  if (!match(line, /^[a-zA-Z_:][a-zA-Z0-9_:]*/)) { unclear++; next }
  name = substr(line, 1, RLENGTH)
  line = substr(line, RLENGTH + 1)
  sub(/^[ \t]+/, "", line)
  labels = ""
  if (sub(/^[{][ \t]*/, "", line)) {
    while (match(line, /^[a-zA-Z_][a-zA-Z0-9_]*[ \t]*=[ \t]*"([^"\\]|\\.)*"[ \t]*,?[ \t]*/)) {
      label = substr(line, 1, RLENGTH)
      line = substr(line, RLENGTH + 1)
      match(label, /^[a-zA-Z0-9_]+/)
      key = substr(label, 1, RLENGTH)
      match(label, /".*"/)
      labels = labels (labels == "" ? "" : ",") "\"" key "\":\"" string(substr(label, RSTART + 1, RLENGTH - 2)) "\""
    }
    if (!sub(/^[}]/, "", line)) { unclear++; next }
  }
  fields = split(line, field, /[ \t]+/)
  first = field[1] == "" ? 2 : 1
  value = number(field[first])
  time = field[first + 1]
  if (value == "" && tolower(field[first]) ~ /^([-+]?inf(inity)?|nan)$/) { infinite++; next }
  if (value == "" || time !~ /^(-?[0-9]+)?$/ || fields > first + 1 && field[first + 2] != "") { unclear++; next }
  printf "{\"name\":\"%s\",\"type\":\"%s\",\"value\":%s", name, type_of(name), value
  if (labels != "") printf ",\"labels\":{%s}", labels
  if (time != "") printf ",\"timestamp\":\"%s\"", rfc3339(time)
  print "}"
}

END {
  if (infinite) print "prometheus_to_ndjson: left out " infinite " of NaN or Inf" | "cat >&2"
  if (unclear) print "prometheus_to_ndjson: left out " unclear " lines that are not understood" | "cat >&2"
}
'
