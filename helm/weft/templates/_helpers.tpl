{{- define "weft.labels" -}}
app.kubernetes.io/name: weft
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "weft.selector" -}}
app.kubernetes.io/name: weft
app.kubernetes.io/component: {{ . }}
{{- end }}

{{- define "weft.image" -}}
{{- with .Values.image -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end -}}
{{- end -}}
{{- end }}

{{- define "weft.container" -}}
image: {{ include "weft.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end }}

{{/* An address to listen at; IPv6 in brackets. */}}
{{- define "weft.adminAddress" -}}
{{- with .Values.admin -}}
{{- if contains ":" .host }}[{{ .host }}]{{ else }}{{ .host }}{{ end }}:{{ .port }}
{{- end -}}
{{- end }}

{{/* Where the kubelet asks: the pod's own address, unless weftd listens at another. */}}
{{- define "weft.probe" -}}
port: admin
{{- if not (has .Values.admin.host (list "0.0.0.0" "::")) }}
host: {{ .Values.admin.host | quote }}
{{- end }}
{{- end }}

{{/* By which `weft check` finds every node's weftd; nothing, where only the node itself may ask. */}}
{{- define "weft.nodesEnvironment" -}}
{{- if has .Values.admin.host (list "0.0.0.0" "::") -}}
- name: WEFT_NODES
  value: weft:{{ .Values.admin.port }}
{{- end }}
{{- end }}

{{/* What a pod needs that works on the node itself: the daemon, and what cleans up after it. */}}
{{- define "weft.nodePod" -}}
hostNetwork: true
hostPID: true
dnsPolicy: ClusterFirstWithHostNet
priorityClassName: {{ .Values.priorityClassName }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "weft.nodeMounts" -}}
- name: bpf
  mountPath: /sys/fs/bpf
  # A bpf file system that weftd mounts itself must stay when its container ends.
  mountPropagation: Bidirectional
- name: cgroup
  mountPath: /sys/fs/cgroup
  mountPropagation: HostToContainer
- name: run
  mountPath: /run/weft
{{- if .Values.cni.enabled }}
- name: cni-bin
  mountPath: /host/cni/bin
- name: cni-conf
  mountPath: /host/cni/conf
{{- end }}
{{- end }}

{{- define "weft.nodeVolumes" -}}
- name: bpf
  hostPath: {path: /sys/fs/bpf, type: Directory}
- name: cgroup
  hostPath: {path: /sys/fs/cgroup, type: Directory}
- name: run
  hostPath: {path: /run/weft, type: DirectoryOrCreate}
{{- if .Values.cni.enabled }}
- name: cni-bin
  hostPath: {path: {{ .Values.cni.binDir }}, type: DirectoryOrCreate}
- name: cni-conf
  hostPath: {path: {{ .Values.cni.confDir }}, type: DirectoryOrCreate}
{{- end }}
{{- end }}

{{- define "weft.cniEnvironment" -}}
- name: WEFT_CNI_BIN_DIR
  value: /host/cni/bin
- name: WEFT_CNI_CONF_DIR
  value: /host/cni/conf
{{- end }}

{{/* Of `weft leave`: further elements of its list of arguments. */}}
{{- define "weft.cniOptions" -}}
{{- if .Values.cni.enabled }}, --cni-bin-dir=/host/cni/bin, --cni-conf-dir=/host/cni/conf{{ end }}
{{- end }}
