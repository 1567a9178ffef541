// Lists the schedules, page after page, and shows what a refusal says: CELERIAC_TARGET, CELERIAC_TOKEN and CELERIAC_CA
// say of which system.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	celeriac "celeriac.dev/client"
	schedulerv1 "celeriac.dev/client/scheduler/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
)

func main() {
	token := func() (string, error) { return os.Getenv("CELERIAC_TOKEN"), nil }
	connection, err := celeriac.Connect(os.Getenv("CELERIAC_TARGET"), os.Getenv("CELERIAC_CA"), token)
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	schedules := schedulerv1.NewScheduleServiceClient(connection)

	request := &schedulerv1.ListSchedulesRequest{PageSize: 2}
	for {
		page, err := schedules.ListSchedules(context.Background(), request)
		if err != nil {
			log.Fatal(err)
		}
		for _, schedule := range page.Schedules {
			if schedule.NextRunTime != nil {
				fmt.Println(schedule.Name, schedule.NextRunTime.AsTime())
			}
		}
		if request.PageToken = page.NextPageToken; request.PageToken == "" {
			break
		}
	}

	_, err = schedules.GetSchedule(context.Background(), &schedulerv1.GetScheduleRequest{Name: "schedules/nowhere"})
	for _, detail := range status.Convert(err).Details() {
		if info, is := detail.(*errdetails.ErrorInfo); is {
			fmt.Println("refused:", info.Reason)
		}
	}
}
